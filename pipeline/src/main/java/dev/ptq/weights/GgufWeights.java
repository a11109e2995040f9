package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.gguf.Gguf;
import dev.ptq.gguf.GgufPlace;
import dev.ptq.gguf.GgufTensor;
import dev.ptq.gguf.GgufType;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntUnaryOperator;

/** The tensors of a model in GGUF, under the names that its family has for them, and in its order of rows. */
final class GgufWeights implements WeightSource {
    private final Path file;
    private final Map<String, GgufPlace> places;
    private final Map<Path, FileChannel> channels = new LinkedHashMap<>();

    private GgufWeights(Gguf gguf) throws IOException {
        this.file = gguf.file();
        this.places = gguf.places();
    }

    /**
     * Opens a file, and the other parts if it is the first of several.
     *
     * @throws IOException naming the file, and the key or tensor at fault
     */
    static GgufWeights open(Path file) throws IOException {
        Gguf gguf = Gguf.open(file);
        GgufWeights opened = new GgufWeights(gguf);
        try {
            for (Path part : gguf.files()) {
                opened.channels.put(part, FileChannel.open(part, StandardOpenOption.READ));
            }
            return opened;
        } catch (IOException | RuntimeException e) {
            opened.close();
            throw e;
        }
    }

    @Override
    public String description() {
        return "the metadata of " + file.getFileName();
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(places.keySet());
    }

    @Override
    public Weight weight(String name) throws IOException {
        GgufPlace place = places.get(name);
        if (place == null) {
            throw new IOException(file + ": no tensor for " + name);
        }
        FileChannel channel = Objects.requireNonNull(channels.get(place.tensor().file()));
        Weight stored = new Stored(channel, place);
        return place.minusOne() ? stored.plus(-1) : stored;
    }

    /** A tensor, or a part of one. */
    private record Stored(FileChannel channel, GgufPlace place) implements Weight {
        /** Values that a thread computes at a time, if that is not less than a row. */
        private static final int TILE = 1 << 15;

        private static final long MOST_MAPPED = 1L << 28;

        @Override
        public List<Long> shape() {
            return place.shape();
        }

        @Override
        public StoredType type() {
            return switch (tensor().type()) {
                case F16 -> StoredType.F16;
                case BF16 -> StoredType.BF16;
                default -> StoredType.F32;
            };
        }

        @Override
        public String origin() {
            return tensor().origin();
        }

        @Override
        public Optional<Packing> packing() {
            GgufType type = tensor().type();
            return type.isPacked()
                    ? Optional.of(
                            new Packing(tensor().name(), "GGUF, " + type, type.valueBits(), 8.0 * type.bytes(size())))
                    : Optional.empty();
        }

        private GgufTensor tensor() {
            return place.tensor();
        }

        private long size() {
            return place.shape().stream().reduce(1L, (a, b) -> a * b);
        }

        @Override
        public NDArray load(NDManager manager) throws IOException {
            return values(manager, 0, Math.toIntExact(shape().get(0)));
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) throws IOException {
            if (from < 0 || from > to || to > shape().get(0)) {
                throw new IOException(origin() + ": has no rows " + from + " to " + to + ", its shape is " + shape());
            }
            return values(manager, from, to);
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) throws IOException {
            if (shape().size() != 2) {
                throw new IOException(origin() + ": expected a matrix, its shape is " + shape());
            }
            for (int row : rows) {
                if (row < 0 || row >= shape().get(0)) {
                    throw new IOException(origin() + ": has no row " + row + ", its shape is " + shape());
                }
            }
            int columns = Math.toIntExact(tensor().columns());
            NDArray array = NativeFloats.create(manager, new Shape(rows.length, columns));
            FloatBuffer window = NativeFloats.window(array);
            float[] values = new float[columns];
            for (int i = 0; i < rows.length; i++) {
                int fileRow = place.fileRow(rows[i]);
                read(fileRow, fileRow + 1, values, row -> 0);
                window.put(i * columns, values);
            }
            return finite(array);
        }

        private NDArray values(NDManager manager, int from, int to) throws IOException {
            if (shape().size() == 1) {
                float[] all = new float[Math.toIntExact(size())];
                read(0, 1, all, row -> 0);
                float[] own = new float[to - from];
                for (int i = from; i < to; i++) {
                    own[i - from] = all[place.fileRow(i)];
                }
                return finite(NativeFloats.of(manager, own, own.length));
            }
            if (shape().size() != 2) {
                throw new IOException(origin() + ": expected a matrix or a vector, its shape is " + shape());
            }
            int columns = Math.toIntExact(tensor().columns());
            NDArray array = NativeFloats.create(manager, new Shape(to - from, columns));
            if (place.headDim() == 0) {
                read(place.fileRow(from), place.fileRow(from) + to - from, NativeFloats.window(array), row -> row);
                return finite(array);
            }
            // the rows of whole heads, which are neighbours in the file too
            int dim = place.headDim();
            int first = from / dim * dim;
            int last = Math.min(Math.toIntExact(shape().get(0)), (to + dim - 1) / dim * dim);
            int[] targets = new int[last - first];
            Arrays.fill(targets, -1);
            for (int row = from; row < to; row++) {
                targets[place.fileRow(row) - first] = row - from;
            }
            read(first, last, NativeFloats.window(array), row -> targets[row]);
            return finite(array);
        }

        private void read(int from, int to, float[] target, IntUnaryOperator targetRow) throws IOException {
            read(from, to, FloatBuffer.wrap(target), targetRow);
        }

        /**
         * Reads rows of the file.
         *
         * @param targetRow of a row counted from {@code from}; less than 0 if it is not wanted
         */
        private void read(int from, int to, FloatBuffer target, IntUnaryOperator targetRow) throws IOException {
            int columns = Math.toIntExact(tensor().columns());
            GgufType type = tensor().type();
            long rowBytes = type.bytes(columns);
            int step = (int) Math.max(1, Math.min(to - from, MOST_MAPPED / rowBytes));
            int tileRows = Math.max(1, TILE / columns);
            for (int start = from; start < to; start += step) {
                int begin = start;
                int rows = Math.min(step, to - begin);
                try (MappedBytes mapped =
                        new MappedBytes(channel, tensor().offset() + begin * rowBytes, rows * rowBytes)) {
                    int tiles = (rows + tileRows - 1) / tileRows;
                    Parallel.forEach(tiles, () -> new float[columns], (values, tile) -> {
                        for (int row = tile * tileRows; row < Math.min(rows, (tile + 1) * tileRows); row++) {
                            int own = targetRow.applyAsInt(begin - from + row);
                            if (own >= 0) {
                                type.toFloats(
                                        mapped.littleEndian(), Math.toIntExact(row * rowBytes), values, 0, columns);
                                target.put(own * columns, values, 0, columns);
                            }
                        }
                    });
                }
            }
        }

        private NDArray finite(NDArray values) throws IOException {
            if (!NativeFloats.allFinite(values)) {
                throw new IOException(origin() + " has a value that is NaN or infinite; the file is damaged");
            }
            return values;
        }
    }

    @Override
    public void close() throws IOException {
        for (FileChannel channel : channels.values()) {
            channel.close();
        }
    }
}
