package dev.ptq.gguf;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The header of one file: its metadata, and where its tensors are. */
record GgufFile(Path file, GgufMetadata metadata, Map<String, GgufTensor> tensors) {
    private static final int MAGIC = 0x46554747;
    private static final int MOST_DIMENSIONS = 4;
    private static final int LARGEST_ALIGNMENT = 1 << 20;
    private static final String ALIGNMENT = "general.alignment";

    /** A tensor as the file describes it, before anything about it is believed. */
    private record Claim(String name, List<Long> dimensions, long type, long offset) {}

    /**
     * Reads a header and checks it against the file's size.
     *
     * @throws IOException naming the file, and the key or tensor at fault
     */
    static GgufFile open(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            throw new IOException(file + ": " + (Files.exists(file) ? "expected a plain file" : "no such file"));
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return read(file, new HeaderReader(file, channel), channel.size());
        }
    }

    private static GgufFile read(Path file, HeaderReader reader, long size) throws IOException {
        if (reader.int32("its first bytes") != MAGIC) {
            throw new IOException(file + ": expected a GGUF file, which begins with the letters GGUF");
        }
        int version = reader.int32("the version");
        if (version != 2 && version != 3) {
            boolean isTurned = Integer.reverseBytes(version) == 2 || Integer.reverseBytes(version) == 3;
            throw new IOException(file + ": expected version 2 or 3 of GGUF"
                    + (isTurned
                            ? ", little-endian; this file is big-endian"
                            : ", got " + Integer.toUnsignedString(version)));
        }
        int tensorCount = reader.count("the number of tensors", 8 + 4 + 8 + 4 + 8);
        int keyCount = reader.count("the number of keys", 8 + 4 + 1);
        Map<String, Object> values = new LinkedHashMap<>();
        for (int i = 0; i < keyCount; i++) {
            String key = reader.text("key " + i);
            if (values.put(key, reader.value(key)) != null) {
                throw new IOException(file + ": " + key + ": is there twice");
            }
        }
        GgufMetadata metadata = new GgufMetadata(file, values);
        List<Claim> claims = new ArrayList<>();
        for (int i = 0; i < tensorCount; i++) {
            claims.add(claim(file, reader, i));
        }
        long alignment = alignment(metadata);
        long start = (reader.position() + alignment - 1) / alignment * alignment;
        Map<String, GgufTensor> tensors = new LinkedHashMap<>();
        for (Claim claim : claims) {
            if (tensors.put(claim.name(), checked(file, claim, start, size, alignment)) != null) {
                throw new IOException(file + ": tensor " + claim.name() + ": is there twice");
            }
        }
        refuseOverlaps(tensors);
        return new GgufFile(file, metadata, Collections.unmodifiableMap(tensors));
    }

    private static long alignment(GgufMetadata metadata) throws IOException {
        long alignment = metadata.optionalWhole(ALIGNMENT).orElse(32);
        if (alignment < 1 || alignment > LARGEST_ALIGNMENT || Long.bitCount(alignment) != 1) {
            throw metadata.wrong(
                    ALIGNMENT, "expected a power of two of at most " + LARGEST_ALIGNMENT + ", got " + alignment);
        }
        return alignment;
    }

    private static Claim claim(Path file, HeaderReader reader, int index) throws IOException {
        String name = reader.text("the name of tensor " + index);
        String what = "tensor " + name;
        long count = reader.unsigned32(what);
        if (count < 1 || count > MOST_DIMENSIONS) {
            throw new IOException(
                    file + ": " + what + ": expected 1 to " + MOST_DIMENSIONS + " dimensions, got " + count);
        }
        List<Long> dimensions = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            dimensions.add(0, reader.int64(what));
        }
        return new Claim(name, dimensions, reader.unsigned32(what), reader.int64(what));
    }

    private static GgufTensor checked(Path file, Claim claim, long start, long size, long alignment)
            throws IOException {
        String what = file + ": tensor " + claim.name() + ": ";
        GgufType type = GgufType.of(claim.type())
                .orElseThrow(() -> new IOException(what + "is of type " + GgufType.name(claim.type())
                        + ", which is not read; expected one of " + GgufType.names()));
        long values = 1;
        for (long dimension : claim.dimensions()) {
            // no value takes less than two bits
            if (dimension < 1 || dimension > size * 4 / values) {
                throw new IOException(what + "the shape " + claim.dimensions() + " does not fit in a file of " + size
                        + " bytes; it is truncated or damaged");
            }
            values *= dimension;
        }
        GgufTensor tensor = new GgufTensor(file, claim.name(), type, claim.dimensions(), start + claim.offset());
        if (tensor.columns() % type.blockValues() != 0) {
            throw new IOException(what + "rows of " + tensor.columns() + " values are no whole blocks of "
                    + type.blockValues() + ", which " + type + " has");
        }
        if (claim.offset() < 0 || claim.offset() % alignment != 0) {
            throw new IOException(what + "begins at " + Long.toUnsignedString(claim.offset())
                    + ", expected a multiple of the alignment " + alignment);
        }
        if (start > size || claim.offset() > size - start || tensor.bytes() > size - start - claim.offset()) {
            throw new IOException(what + type + " " + claim.dimensions() + " claims " + tensor.bytes() + " bytes from "
                    + claim.offset() + " of " + Math.max(0, size - start)
                    + " there are; the file is truncated or its header is wrong");
        }
        return tensor;
    }

    private static void refuseOverlaps(Map<String, GgufTensor> tensors) throws IOException {
        List<GgufTensor> byOffset = tensors.values().stream()
                .sorted(Comparator.comparingLong(GgufTensor::offset).thenComparing(GgufTensor::bytes))
                .toList();
        for (int i = 1; i < byOffset.size(); i++) {
            GgufTensor before = byOffset.get(i - 1);
            if (byOffset.get(i).offset() < before.offset() + before.bytes()) {
                throw new IOException(byOffset.get(i).origin() + " overlaps " + before.name());
            }
        }
    }
}
