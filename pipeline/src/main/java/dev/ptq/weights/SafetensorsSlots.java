package dev.ptq.weights;

import dev.ptq.weights.SafetensorsWriter.Slot;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A safetensors file of float32 tensors that can be filled in any order, even by one process after another. Unwritten
 * values are zero.
 */
public final class SafetensorsSlots implements AutoCloseable {
    private final Path file;
    private final FileChannel channel;
    private final Map<String, Long> offsets;
    private final boolean isNew;

    private SafetensorsSlots(Path file, FileChannel channel, Map<String, Long> offsets, boolean isNew) {
        this.file = file;
        this.channel = channel;
        this.offsets = offsets;
        this.isNew = isNew;
    }

    /** Opens a file that has a place for exactly these tensors; any other is overwritten, a missing one created. */
    public static SafetensorsSlots open(Path file, Map<String, long[]> shapes) throws IOException {
        Map<String, Slot> tensors = new LinkedHashMap<>();
        shapes.forEach((name, shape) -> tensors.put(
                name, new Slot(StoredType.F32, Arrays.stream(shape).boxed().toList())));
        ByteBuffer header = SafetensorsWriter.header(tensors, Map.of());
        Map<String, Long> offsets = new LinkedHashMap<>();
        long end = header.remaining();
        for (Map.Entry<String, Slot> slot : tensors.entrySet()) {
            offsets.put(slot.getKey(), end);
            end += slot.getValue().bytes();
        }
        boolean isNew = !begins(file, header, end);
        FileChannel channel = isNew
                ? FileChannel.open(
                        file, StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE)
                : FileChannel.open(file, StandardOpenOption.WRITE);
        SafetensorsSlots slots = new SafetensorsSlots(file, channel, offsets, isNew);
        if (isNew) {
            slots.writeAt(header, 0);
            if (end > channel.size()) {
                slots.writeAt(ByteBuffer.allocate(1), end - 1);
            }
        }
        return slots;
    }

    private static boolean begins(Path file, ByteBuffer header, long size) throws IOException {
        if (!Files.exists(file) || Files.size(file) != size) {
            return false;
        }
        ByteBuffer found = ByteBuffer.allocate(header.remaining());
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            while (found.hasRemaining() && channel.read(found) >= 0) {
                // reads on
            }
        }
        return found.flip().equals(header);
    }

    /** Returns whether the file was created or overwritten. */
    public boolean isNew() {
        return isNew;
    }

    /** Writes values of a tensor, starting at its value {@code from}. */
    public void write(String name, long from, float[] values) throws IOException {
        Long offset = offsets.get(name);
        if (offset == null) {
            throw new IllegalArgumentException(file + ": no place for a tensor " + name);
        }
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        writeAt(bytes, offset + from * Float.BYTES);
    }

    private void writeAt(ByteBuffer bytes, long offset) throws IOException {
        while (bytes.hasRemaining()) {
            offset += channel.write(bytes, offset);
        }
    }

    /** Returns when everything written is on the disk. */
    public void force() throws IOException {
        channel.force(false);
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
