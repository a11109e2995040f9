package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A safetensors file, read a tensor at a time: the header is checked against the file's size when it is opened, so no
 * later read can leave the file or allocate more than the file holds.
 */
public final class Safetensors implements AutoCloseable {
    private static final int TILE = 1 << 15;
    private static final long LARGEST_HEADER = 100_000_000;
    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .build();

    private final Path file;
    private final FileChannel channel;
    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    /** One tensor: {@code type} is the name in the file, {@code offset} counts from the start of the file. */
    public record Entry(String name, String type, List<Long> shape, long offset, long bytes) {
        /** Number of values. */
        public long size() {
            return shape.stream().reduce(1L, (a, b) -> a * b);
        }
    }

    private Safetensors(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /**
     * Opens a file.
     *
     * @throws IOException naming the file, if it is absent or truncated, or its header violates the format
     */
    public static Safetensors open(Path file) throws IOException {
        FileChannel channel;
        try {
            channel = FileChannel.open(file, StandardOpenOption.READ);
        } catch (NoSuchFileException e) {
            throw new IOException(file + ": no such file", e);
        }
        Safetensors opened = new Safetensors(file, channel);
        try {
            opened.readHeader();
            return opened;
        } catch (IOException | RuntimeException e) {
            channel.close();
            throw e;
        }
    }

    /** The tensors by name, in the order of the header. */
    public Map<String, Entry> entries() {
        return Collections.unmodifiableMap(entries);
    }

    /** Returns a tensor's shape. */
    public List<Long> shape(String name) throws IOException {
        return entry(name).shape();
    }

    /**
     * Returns the stored type of a tensor.
     *
     * @throws IOException if it is missing, or of a type that is not read here
     */
    public StoredType type(String name) throws IOException {
        return type(entry(name));
    }

    /** The header's {@code __metadata__}. */
    public Map<String, String> metadata() {
        return Collections.unmodifiableMap(metadata);
    }

    /** The path of the file. */
    public Path file() {
        return file;
    }

    /** Returns a tensor as float32, whatever its stored type. */
    public NDArray load(NDManager manager, String name) throws IOException {
        Entry entry = entry(name);
        NDArray array = NativeFloats.create(
                manager,
                new Shape(entry.shape().stream().mapToLong(Long::longValue).toArray()));
        read(entry, 0, Math.toIntExact(entry.size()), NativeFloats.window(array), 0);
        return array;
    }

    /** Returns rows {@code from} (inclusive) to {@code to} (exclusive) of a matrix as float32. */
    public NDArray loadRows(NDManager manager, String name, int from, int to) throws IOException {
        Entry entry = matrix(name);
        if (from < 0 || from > to || to > entry.shape().get(0)) {
            throw new IOException(file + ": tensor " + name + " has no rows " + from + " to " + to + ", its shape is "
                    + entry.shape());
        }
        long columns = entry.shape().get(1);
        NDArray array = NativeFloats.create(manager, new Shape(to - from, columns));
        read(entry, from * columns, Math.toIntExact((to - from) * columns), NativeFloats.window(array), 0);
        return array;
    }

    /** Returns the rows of a matrix that {@code rows} names, in that order, as float32: an embedding's look-up. */
    public NDArray gatherRows(NDManager manager, String name, int[] rows) throws IOException {
        Entry entry = matrix(name);
        int columns = Math.toIntExact(entry.shape().get(1));
        for (int row : rows) {
            if (row < 0 || row >= entry.shape().get(0)) {
                throw new IOException(
                        file + ": tensor " + name + " has no row " + row + ", its shape is " + entry.shape());
            }
        }
        NDArray array = NativeFloats.create(manager, new Shape(rows.length, columns));
        FloatBuffer window = NativeFloats.window(array);
        StoredType type = type(entry);
        // read, not mapped: the whole table may be larger than one mapping, and only few of its pages are wanted
        ByteBuffer source = ByteBuffer.allocate(columns * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        float[] values = new float[columns];
        for (int i = 0; i < rows.length; i++) {
            readFully(source.clear(), entry.offset() + (long) rows[i] * columns * type.bytes());
            type.toFloats(source.flip(), 0, values, columns);
            window.put(i * columns, values);
        }
        return array;
    }

    /** Returns a tensor's values as float32. */
    public float[] floats(String name) throws IOException {
        Entry entry = entry(name);
        float[] values = new float[Math.toIntExact(entry.size())];
        read(entry, 0, values.length, FloatBuffer.wrap(values), 0);
        return values;
    }

    /** Returns the values of an int32 tensor. */
    public int[] ints(String name) throws IOException {
        Entry entry = entry(name);
        if (type(entry) != StoredType.I32) {
            throw new IOException(file + ": tensor " + name + " is " + entry.type() + ", expected I32");
        }
        int[] values = new int[Math.toIntExact(entry.size())];
        try (MappedBytes mapped = new MappedBytes(channel, entry.offset(), entry.bytes())) {
            mapped.littleEndian().asIntBuffer().get(values);
        }
        return values;
    }

    /** Returns a tensor of any known type in its stored form, copied to the Java heap. */
    public RawTensor raw(String name) throws IOException {
        Entry entry = named(name);
        return raw(entry, entry.shape(), 0);
    }

    /** Returns rows {@code from} (inclusive) to {@code to} (exclusive) of a matrix of any known type, likewise. */
    public RawTensor rawRows(String name, int from, int to) throws IOException {
        Entry entry = named(name);
        List<Long> shape = entry.shape();
        if (shape.size() != 2 || from < 0 || from > to || to > shape.get(0)) {
            throw new IOException(
                    file + ": tensor " + name + " has no rows " + from + " to " + to + ", its shape is " + shape);
        }
        return raw(entry, List.of((long) to - from, shape.get(1)), from * shape.get(1));
    }

    private RawTensor raw(Entry entry, List<Long> shape, long firstValue) throws IOException {
        StoredType type = rawType(entry);
        long size = shape.stream().reduce((long) type.bytes(), (a, b) -> a * b);
        if (size > Integer.MAX_VALUE - 8) {
            throw new IOException(
                    file + ": tensor " + entry.name() + ": " + size + " bytes at once, expected fewer than 2^31");
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) size);
        readFully(bytes, entry.offset() + firstValue * type.bytes());
        return new RawTensor(type, shape, bytes.flip());
    }

    /**
     * Returns the stored type of a tensor that may be any known one.
     *
     * @throws IOException if it is missing, or of a type that is not known
     */
    public StoredType rawType(String name) throws IOException {
        return rawType(named(name));
    }

    private StoredType rawType(Entry entry) throws IOException {
        return known(entry).orElseThrow(() -> unreadable(entry, List.of(StoredType.values())));
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private void read(Entry entry, long firstValue, int count, FloatBuffer target, int at) throws IOException {
        StoredType type = type(entry);
        long bytes = (long) count * type.bytes();
        try (MappedBytes mapped = new MappedBytes(channel, entry.offset() + firstValue * type.bytes(), bytes)) {
            int tiles = (count + TILE - 1) / TILE;
            Parallel.forEach(tiles, () -> new float[TILE], (scratch, tile) -> {
                int from = tile * TILE;
                int length = Math.min(TILE, count - from);
                type.toFloats(mapped.littleEndian(), from, scratch, length);
                target.put(at + from, scratch, 0, length);
            });
        }
    }

    private void readFully(ByteBuffer target, long offset) throws IOException {
        while (target.hasRemaining()) {
            if (channel.read(target, offset + target.position()) < 0) {
                throw new IOException(file + ": ended while it was read");
            }
        }
    }

    private Entry named(String name) throws IOException {
        Entry entry = entries.get(name);
        if (entry == null) {
            throw new IOException(file + ": no tensor " + name);
        }
        return entry;
    }

    private Entry entry(String name) throws IOException {
        Entry entry = named(name);
        // only for a known type do shape and bytes agree, so nothing is allocated before this
        type(entry);
        return entry;
    }

    private Entry matrix(String name) throws IOException {
        Entry entry = entry(name);
        if (entry.shape().size() != 2) {
            throw new IOException(file + ": tensor " + name + " has shape " + entry.shape() + ", expected a matrix");
        }
        return entry;
    }

    private static Optional<StoredType> known(Entry entry) {
        return StoredType.named(entry.type());
    }

    private StoredType type(Entry entry) throws IOException {
        List<StoredType> readable = Arrays.stream(StoredType.values())
                .filter(StoredType::readsAsFloat)
                .toList();
        return known(entry).filter(readable::contains).orElseThrow(() -> unreadable(entry, readable));
    }

    private IOException unreadable(Entry entry, List<StoredType> expected) {
        return new IOException(
                file + ": tensor " + entry.name() + " is stored as " + entry.type() + ", expected one of " + expected);
    }

    private void readHeader() throws IOException {
        long size = Files.size(file);
        if (size < 8) {
            throw new IOException(file + ": " + size + " bytes are too few for a safetensors file; is it truncated?");
        }
        long headerBytes;
        try (MappedBytes mapped = new MappedBytes(channel, 0, 8)) {
            headerBytes = mapped.littleEndian().getLong();
        }
        if (headerBytes < 2 || headerBytes > LARGEST_HEADER || headerBytes > size - 8) {
            throw new IOException(file + ": the header claims " + Long.toUnsignedString(headerBytes)
                    + " bytes in a file of " + size + "; it is truncated or no safetensors file");
        }
        byte[] text = new byte[(int) headerBytes];
        readFully(ByteBuffer.wrap(text), 8);
        JsonNode header;
        try {
            header = JSON.readTree(text);
        } catch (JacksonException e) {
            throw new IOException(file + ": the header is not valid JSON: " + e.getOriginalMessage(), e);
        }
        if (header == null || !header.isObject()) {
            throw new IOException(file + ": the header is not a JSON object");
        }
        for (Map.Entry<String, JsonNode> field : header.properties()) {
            if (field.getKey().equals("__metadata__")) {
                field.getValue()
                        .properties()
                        .forEach(e -> metadata.put(e.getKey(), e.getValue().asString("")));
            } else {
                entries.put(field.getKey(), checked(field.getKey(), field.getValue(), 8 + headerBytes, size));
            }
        }
        refuseOverlaps();
    }

    private void refuseOverlaps() throws IOException {
        List<Entry> byOffset = entries.values().stream()
                .sorted(Comparator.comparingLong(Entry::offset).thenComparingLong(Entry::bytes))
                .toList();
        for (int i = 1; i < byOffset.size(); i++) {
            Entry before = byOffset.get(i - 1);
            Entry entry = byOffset.get(i);
            if (entry.offset() < before.offset() + before.bytes()) {
                throw new IOException(file + ": tensor " + entry.name() + " overlaps " + before.name());
            }
        }
    }

    private Entry checked(String name, JsonNode node, long dataStart, long fileSize) throws IOException {
        JsonNode type = node.get("dtype");
        List<Long> shape = wholeNumbers(node.get("shape"));
        List<Long> offsets = wholeNumbers(node.get("data_offsets"));
        if (type == null || !type.isString() || shape == null || offsets == null || offsets.size() != 2) {
            throw new IOException(file + ": tensor " + name
                    + ": expected dtype, shape and two data_offsets, all not negative, got " + node);
        }
        long begin = offsets.get(0);
        long end = offsets.get(1);
        if (begin > end || end > fileSize - dataStart) {
            throw new IOException(file + ": tensor " + name + " claims bytes " + begin + " to " + end + " of "
                    + (fileSize - dataStart) + " there are; the file is truncated or its header is wrong");
        }
        Entry entry = new Entry(name, type.asString(), shape, dataStart + begin, end - begin);
        long values = 1;
        try {
            for (long dimension : shape) {
                values = Math.multiplyExact(values, dimension);
            }
        } catch (ArithmeticException e) {
            throw new IOException(file + ": tensor " + name + ": the shape " + shape + " is too large", e);
        }
        StoredType known = known(entry).orElse(null);
        if (known != null && (values > Long.MAX_VALUE / 8 || values * known.bytes() != entry.bytes())) {
            throw new IOException(file + ": tensor " + name + ": " + known + " " + shape + " does not fill "
                    + entry.bytes() + " bytes");
        }
        return entry;
    }

    private static @Nullable List<Long> wholeNumbers(@Nullable JsonNode node) {
        if (node == null || !node.isArray()) {
            return null;
        }
        List<Long> numbers = new ArrayList<>();
        for (JsonNode item : node) {
            if (!item.isIntegralNumber() || !item.canConvertToLong() || item.asLong() < 0) {
                return null;
            }
            numbers.add(item.asLong());
        }
        return List.copyOf(numbers);
    }
}
