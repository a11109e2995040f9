package dev.ptq.gguf;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes GGUF files for tests, right ones and, by its parts, wrong ones. */
public final class GgufBuilder {
    /** A tensor as the header has it; {@code shape} outermost first, {@code offset} is given when it is written. */
    @SuppressWarnings("ArrayRecordComponent") // never compared, and written as it is
    public record Tensor(String name, List<Long> shape, int type, byte[] bytes) {}

    private final Map<String, Object> metadata = new LinkedHashMap<>();
    private final List<Tensor> tensors = new ArrayList<>();
    private int alignment = 32;

    /** Sets a key: an Integer is written as UINT32, a Float, Double, Boolean or String as such, a List as an array. */
    public GgufBuilder with(String key, Object value) {
        metadata.put(key, value);
        return this;
    }

    /** Leaves a key out. */
    public GgufBuilder without(String key) {
        metadata.remove(key);
        return this;
    }

    /** Aligns tensors. */
    public GgufBuilder aligned(int bytes) {
        alignment = bytes;
        return with("general.alignment", bytes);
    }

    /** Adds float32 values. */
    public GgufBuilder tensor(String name, float[] values, long... shape) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        return tensor(name, GgufType.F32, bytes.array(), shape);
    }

    /** Adds bytes of a type. */
    public GgufBuilder tensor(String name, GgufType type, byte[] bytes, long... shape) {
        int id = 0;
        while (GgufType.of(id).filter(type::equals).isEmpty()) {
            id++;
        }
        return tensor(new Tensor(name, Arrays.stream(shape).boxed().toList(), id, bytes));
    }

    /** Adds a tensor, or replaces the one of that name. */
    public GgufBuilder tensor(Tensor tensor) {
        tensors.removeIf(other -> other.name().equals(tensor.name()));
        tensors.add(tensor);
        return this;
    }

    /** Adds a second tensor of a name. */
    public GgufBuilder again(String name) {
        tensors.stream().filter(each -> each.name().equals(name)).findFirst().ifPresent(tensors::add);
        return this;
    }

    /** Leaves a tensor out. */
    public GgufBuilder withoutTensor(String name) {
        tensors.removeIf(other -> other.name().equals(name));
        return this;
    }

    /** The tensors so far. */
    public List<Tensor> tensors() {
        return List.copyOf(tensors);
    }

    /** The content of the file. */
    public byte[] bytes() {
        Bytes out = new Bytes();
        out.int32(0x46554747).int32(3).int64(tensors.size()).int64(metadata.size());
        metadata.forEach((key, value) -> out.text(key).value(value));
        long offset = 0;
        for (Tensor tensor : tensors) {
            out.text(tensor.name()).int32(tensor.shape().size());
            for (int i = tensor.shape().size() - 1; i >= 0; i--) {
                out.int64(tensor.shape().get(i));
            }
            out.int32(tensor.type()).int64(offset);
            offset += padded(tensor.bytes().length);
        }
        out.pad(alignment);
        for (Tensor tensor : tensors) {
            out.raw(tensor.bytes()).pad(alignment);
        }
        return out.stream.toByteArray();
    }

    private long padded(long bytes) {
        return (bytes + alignment - 1) / alignment * alignment;
    }

    /** Writes the file. */
    public Path write(Path file) throws IOException {
        Files.createDirectories(file.toAbsolutePath().getParent());
        return Files.write(file, bytes());
    }

    /** Writes it in parts, a tensor after the other to the parts in turn, and returns the first. */
    public Path writeParts(Path folder, String name, int count) throws IOException {
        Path first = folder;
        for (int part = count - 1; part >= 0; part--) {
            GgufBuilder own = new GgufBuilder();
            if (part == 0) {
                own.metadata.putAll(metadata);
            }
            own.with("split.no", part).with("split.count", count).with("split.tensors.count", tensors.size());
            for (int i = part; i < tensors.size(); i += count) {
                own.tensor(tensors.get(i));
            }
            first = own.write(folder.resolve(String.format("%s-%05d-of-%05d.gguf", name, part + 1, count)));
        }
        return first;
    }

    /** Little-endian bytes. */
    static final class Bytes {
        private final ByteArrayOutputStream stream = new ByteArrayOutputStream();

        Bytes raw(byte[] bytes) {
            stream.writeBytes(bytes);
            return this;
        }

        Bytes int32(int value) {
            return raw(ByteBuffer.allocate(4)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putInt(value)
                    .array());
        }

        Bytes int64(long value) {
            return raw(ByteBuffer.allocate(8)
                    .order(ByteOrder.LITTLE_ENDIAN)
                    .putLong(value)
                    .array());
        }

        Bytes text(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            return int64(bytes.length).raw(bytes);
        }

        Bytes value(Object value) {
            int32(type(value));
            if (value instanceof List<?> list) {
                int32(list.isEmpty() ? 4 : type(list.get(0))).int64(list.size());
                list.forEach(this::plain);
                return this;
            }
            return plain(value);
        }

        private Bytes plain(Object value) {
            return switch (type(value)) {
                case 4 -> int32((Integer) value);
                case 6 -> int32(Float.floatToRawIntBits((Float) value));
                case 7 -> raw(new byte[] {(byte) ((Boolean) value ? 1 : 0)});
                case 8 -> text((String) value);
                case 10 -> int64((Long) value);
                default -> int64(Double.doubleToRawLongBits((Double) value));
            };
        }

        private static int type(Object value) {
            return value instanceof List<?>
                    ? 9
                    : value instanceof Integer
                            ? 4
                            : value instanceof Float
                                    ? 6
                                    : value instanceof Boolean
                                            ? 7
                                            : value instanceof String ? 8 : value instanceof Long ? 10 : 12;
        }

        Bytes pad(int alignment) {
            while (stream.size() % alignment != 0) {
                stream.write(0);
            }
            return this;
        }
    }
}
