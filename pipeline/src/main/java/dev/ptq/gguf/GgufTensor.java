package dev.ptq.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;

/**
 * A tensor of a file.
 *
 * @param file that it is in
 * @param name in the file
 * @param shape the outermost dimension first, unlike in the file; the last one is a multiple of the type's block
 * @param offset of its first byte in the file
 */
public record GgufTensor(Path file, String name, GgufType type, List<Long> shape, long offset) {
    private static final int MOST_SMALL = 1 << 20;

    public GgufTensor {
        shape = List.copyOf(shape);
    }

    /** Number of values. */
    public long size() {
        return shape.stream().reduce(1L, (a, b) -> a * b);
    }

    /** Bytes in the file. */
    public long bytes() {
        return type.bytes(size());
    }

    /** Values of a row. */
    public long columns() {
        return shape.get(shape.size() - 1);
    }

    /** Its origin, for messages. */
    public String origin() {
        return file + ": tensor " + name;
    }

    /** Reads a small tensor that belongs to the config of a model rather than to its weights. */
    float[] smallFloats() throws IOException {
        if (size() > MOST_SMALL) {
            throw new IOException(origin() + ": expected at most " + MOST_SMALL + " values, its shape is " + shape);
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) bytes()).order(ByteOrder.LITTLE_ENDIAN);
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            while (bytes.hasRemaining()) {
                if (channel.read(bytes, offset + bytes.position()) < 0) {
                    throw new IOException(file + ": ended while it was read");
                }
            }
        }
        float[] values = new float[(int) size()];
        type.toFloats(bytes, 0, values, 0, values.length);
        return values;
    }
}
