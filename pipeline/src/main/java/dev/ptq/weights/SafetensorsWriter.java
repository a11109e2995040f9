package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.json.JsonMapper;

/** Writes tensors as a safetensors file: float32 ones in that type or a narrower one, others as they are stored. */
public final class SafetensorsWriter {
    private static final int TILE = 1 << 16;
    /** Values of a weight in memory at a time. */
    private static final long ROWS_VALUES = 1 << 22;

    private SafetensorsWriter() {}

    /** Writes the tensors as float32. */
    public static void write(Path file, Map<String, NDArray> tensors, Map<String, String> metadata) throws IOException {
        write(file, tensors, StoredType.F32, metadata);
    }

    /**
     * Writes the tensors in the order of the map. The file appears under its name only when it is complete.
     *
     * @param type to store the values as, rounded half to even; F32 or BF16
     * @param metadata for the header's {@code __metadata__}; left out when empty. Hugging Face's loader of models
     *     insists on {@code format}, {@code pt}
     */
    public static void write(Path file, Map<String, NDArray> tensors, StoredType type, Map<String, String> metadata)
            throws IOException {
        if (!type.writable()) {
            throw new IllegalArgumentException("expected a type to write, F32 or BF16, got " + type);
        }
        writeEntries(file, entries(tensors, type), metadata);
    }

    /**
     * Writes weights of any size in the order of the map, a part of each in memory at a time. The file appears under its
     * name only when it is complete.
     *
     * @param type as for the other
     */
    public static void writeWeights(
            Path file, Map<String, Weight> weights, StoredType type, Map<String, String> metadata) throws IOException {
        Map<String, Entry> entries = new LinkedHashMap<>();
        weights.forEach((name, weight) -> entries.put(
                name, new Entry(new Slot(type, weight.shape()), channel -> writeWeight(channel, weight, type))));
        writeEntries(file, entries, metadata);
    }

    private static void writeWeight(FileChannel channel, Weight weight, StoredType type) throws IOException {
        boolean isMatrix = weight.shape().size() == 2;
        int rows = isMatrix ? Math.toIntExact(weight.shape().get(0)) : 1;
        long columns = isMatrix ? weight.shape().get(1) : 1;
        int step = isMatrix ? (int) Math.max(1, Math.min(rows, ROWS_VALUES / Math.max(1, columns))) : 1;
        for (int from = 0; from < rows; from += step) {
            try (NDManager scratch = TensorEngine.newManager()) {
                NDArray part =
                        isMatrix ? weight.rows(scratch, from, Math.min(rows, from + step)) : weight.load(scratch);
                writeValues(channel, NativeFloats.window(part), type);
            }
        }
    }

    /**
     * Writes float32 tensors and tensors of any type, largest types first, so that each lies where its type may. The file
     * appears under its name only when it is complete.
     *
     * @throws IllegalArgumentException if two tensors have the same name
     */
    public static void write(
            Path file, Map<String, NDArray> tensors, Map<String, RawTensor> raw, Map<String, String> metadata)
            throws IOException {
        write(file, tensors, StoredType.F32, raw, metadata);
    }

    /** The same, with float32 tensors stored as another type. */
    public static void write(
            Path file,
            Map<String, NDArray> tensors,
            StoredType type,
            Map<String, RawTensor> raw,
            Map<String, String> metadata)
            throws IOException {
        Map<String, Entry> all = entries(tensors, type);
        raw.forEach((name, tensor) -> {
            Slot slot = new Slot(tensor.type(), tensor.shape());
            if (all.put(name, new Entry(slot, channel -> writeFully(channel, tensor.bytes()))) != null) {
                throw new IllegalArgumentException("two tensors are named " + name);
            }
        });
        writeEntries(file, largestFirst(all), metadata);
    }

    private static Map<String, Entry> largestFirst(Map<String, Entry> entries) {
        Map<String, Entry> ordered = new LinkedHashMap<>();
        entries.entrySet().stream()
                .sorted(Comparator.comparingInt(
                        named -> -named.getValue().slot().type().bytes()))
                .forEach(named -> ordered.put(named.getKey(), named.getValue()));
        return ordered;
    }

    /**
     * Writes the tensors in files to one file, those of one type in their order, largest types first. One of them is in memory at a time.
     *
     * @throws IllegalArgumentException if two tensors have the same name
     */
    public static void join(Path file, List<Path> parts, Map<String, String> metadata) throws IOException {
        Map<String, Entry> all = new LinkedHashMap<>();
        for (Path part : parts) {
            try (Safetensors saved = Safetensors.open(part)) {
                for (Safetensors.Entry tensor : saved.entries().values()) {
                    String name = tensor.name();
                    Slot slot = new Slot(saved.rawType(name), tensor.shape());
                    if (all.put(name, new Entry(slot, channel -> copy(part, name, channel))) != null) {
                        throw new IllegalArgumentException("two tensors are named " + name);
                    }
                }
            }
        }
        writeEntries(file, largestFirst(all), metadata);
    }

    private static void copy(Path file, String name, FileChannel channel) throws IOException {
        try (Safetensors saved = Safetensors.open(file)) {
            writeFully(channel, saved.raw(name).bytes());
        }
    }

    private static Map<String, Entry> entries(Map<String, NDArray> tensors, StoredType type) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        tensors.forEach((name, tensor) -> {
            List<Long> shape =
                    Arrays.stream(tensor.getShape().getShape()).boxed().toList();
            Values values = channel -> writeValues(channel, NativeFloats.window(tensor), type);
            entries.put(name, new Entry(new Slot(type, shape), values));
        });
        return entries;
    }

    private static void writeEntries(Path file, Map<String, Entry> entries, Map<String, String> metadata)
            throws IOException {
        Path partial = file.resolveSibling(file.getFileName() + ".partial");
        try {
            try (FileChannel channel = FileChannel.open(
                    partial,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.TRUNCATE_EXISTING,
                    StandardOpenOption.WRITE)) {
                Map<String, Slot> slots = new LinkedHashMap<>();
                entries.forEach((name, entry) -> slots.put(name, entry.slot()));
                writeFully(channel, header(slots, metadata));
                for (Entry entry : entries.values()) {
                    entry.values().writeTo(channel);
                }
            }
            Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(partial);
        }
    }

    /** The place of a tensor in a file. */
    record Slot(StoredType type, List<Long> shape) {
        long bytes() {
            return shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
        }
    }

    /** Writes the values of a tensor. */
    @FunctionalInterface
    private interface Values {
        void writeTo(FileChannel channel) throws IOException;
    }

    private record Entry(Slot slot, Values values) {}

    static ByteBuffer header(Map<String, Slot> slots, Map<String, String> metadata) {
        Map<String, Object> header = new LinkedHashMap<>();
        if (!metadata.isEmpty()) {
            // in a fixed order: maps of the JDK have another in every process
            header.put("__metadata__", new TreeMap<>(metadata));
        }
        long offset = 0;
        for (Map.Entry<String, Slot> tensor : slots.entrySet()) {
            Slot slot = tensor.getValue();
            long end = Math.addExact(offset, slot.bytes());
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("dtype", slot.type().name());
            fields.put("shape", slot.shape());
            fields.put("data_offsets", List.of(offset, end));
            header.put(tensor.getKey(), fields);
            offset = end;
        }
        byte[] text = JsonMapper.shared().writeValueAsString(header).getBytes(StandardCharsets.UTF_8);
        // the data start at a multiple of eight bytes
        byte[] padded = Arrays.copyOf(text, (text.length + 7) / 8 * 8);
        Arrays.fill(padded, text.length, padded.length, (byte) ' ');
        ByteBuffer bytes = ByteBuffer.allocate(8 + padded.length).order(ByteOrder.LITTLE_ENDIAN);
        return bytes.putLong(padded.length).put(padded).flip();
    }

    private static void writeValues(FileChannel channel, FloatBuffer values, StoredType type) throws IOException {
        ByteBuffer tile = ByteBuffer.allocateDirect(TILE * type.bytes()).order(ByteOrder.LITTLE_ENDIAN);
        for (int from = 0; from < values.capacity(); from += TILE) {
            int count = Math.min(TILE, values.capacity() - from);
            tile.clear().limit(count * type.bytes());
            type.fromFloats(values.slice(from, count), tile);
            writeFully(channel, tile);
        }
    }

    private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }
}
