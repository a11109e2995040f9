package dev.ptq.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Reads the header of a file from its start. Nothing is allocated that the rest of the file could not fill. */
final class HeaderReader {
    /** Of a vocabulary of 260,000 tokens with its merges, a header has some 15 million. */
    private static final long MOST_BYTES = 1L << 26;

    /** Of all lists together, and of tensors. */
    private static final int MOST_VALUES = 1 << 23;

    private static final int BUFFER = 1 << 16;

    private final Path file;
    private final FileChannel channel;
    private final long end;
    private final ByteBuffer buffer =
            ByteBuffer.allocate(BUFFER).order(ByteOrder.LITTLE_ENDIAN).limit(0);
    /** Of the buffer's end. */
    private long read;
    /** In lists so far. */
    private long listed;

    HeaderReader(Path file, FileChannel channel) throws IOException {
        this.file = file;
        this.channel = channel;
        this.end = channel.size();
    }

    /** Bytes before the next one. */
    long position() {
        return read - buffer.remaining();
    }

    int int32(String what) throws IOException {
        need(4, what);
        return buffer.getInt();
    }

    long unsigned32(String what) throws IOException {
        return Integer.toUnsignedLong(int32(what));
    }

    long int64(String what) throws IOException {
        need(8, what);
        return buffer.getLong();
    }

    /**
     * Reads a number of things that follow.
     *
     * @param leastBytes that each of them takes
     */
    int count(String what, int leastBytes) throws IOException {
        long count = int64(what);
        if (count < 0 || count > (end - position()) / leastBytes) {
            throw wrong(what + ": claims " + Long.toUnsignedString(count) + ", and the file has " + (end - position())
                    + " more bytes; it is truncated or damaged");
        }
        if (count > MOST_VALUES) {
            throw wrong(what + ": expected at most " + MOST_VALUES + ", got " + count);
        }
        return (int) count;
    }

    String text(String what) throws IOException {
        int length = count("the length of " + what, 1);
        byte[] bytes = new byte[length];
        within(length, what);
        int have = Math.min(length, buffer.remaining());
        buffer.get(bytes, 0, have);
        if (have < length) {
            fill(ByteBuffer.wrap(bytes, have, length - have), what);
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new IOException(file + ": " + what + ": expected a text in UTF-8", e);
        }
    }

    /** Reads a value: a Long, a Double, a Boolean, a String, or a List of one of these. */
    Object value(String key) throws IOException {
        long type = unsigned32("the type of " + key);
        if (type != 9) {
            return single(type, key);
        }
        long element = unsigned32("the type of " + key);
        int count = count("the values of " + key, bytes(element, key));
        listed += count;
        if (listed > MOST_VALUES) {
            throw wrong(key + ": expected at most " + MOST_VALUES + " values in all lists of the file");
        }
        List<Object> values = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            values.add(single(element, key));
        }
        return values;
    }

    private int bytes(long type, String key) throws IOException {
        return switch ((int) type) {
            case 0, 1, 7 -> 1;
            case 2, 3 -> 2;
            case 4, 5, 6 -> 4;
            case 8, 10, 11, 12 -> 8;
            case 9 -> throw wrong(key + ": a list of lists, which is not read");
            default -> throw unknown(type, key);
        };
    }

    private Object single(long type, String key) throws IOException {
        need(type == 8 ? 8 : bytes(type, key), key);
        return switch ((int) type) {
            case 0 -> (long) (buffer.get() & 0xff);
            case 1 -> (long) buffer.get();
            case 2 -> (long) (buffer.getShort() & 0xffff);
            case 3 -> (long) buffer.getShort();
            case 4 -> Integer.toUnsignedLong(buffer.getInt());
            case 5 -> (long) buffer.getInt();
            // the decimal that was meant: 1e-5, not the float nearest to it
            case 6 -> Double.parseDouble(Float.toString(buffer.getFloat()));
            case 7 -> bool(buffer.get(), key);
            case 8 -> text(key);
            case 10, 11 -> buffer.getLong();
            case 12 -> buffer.getDouble();
            default -> throw unknown(type, key);
        };
    }

    private boolean bool(byte value, String key) throws IOException {
        if (value != 0 && value != 1) {
            throw wrong(key + ": expected a truth value, 0 or 1, got " + (value & 0xff));
        }
        return value == 1;
    }

    private IOException unknown(long type, String key) {
        return wrong(key + ": a value of the unknown type " + type);
    }

    private void need(int bytes, String what) throws IOException {
        if (buffer.remaining() < bytes) {
            within(bytes, what);
            buffer.compact();
            int length = (int) Math.min(buffer.remaining(), end - read);
            ByteBuffer window = buffer.slice(buffer.position(), length);
            fill(window, what);
            buffer.limit(buffer.position() + length).position(0);
        }
    }

    private void within(long bytes, String what) throws IOException {
        if (bytes > end - position()) {
            throw wrong("ends within " + what + ", after " + end + " bytes; it is truncated");
        }
        if (position() + bytes > MOST_BYTES) {
            throw wrong(what + ": expected a header of at most " + MOST_BYTES + " bytes");
        }
    }

    private void fill(ByteBuffer target, String what) throws IOException {
        while (target.hasRemaining()) {
            int count = channel.read(target, read);
            if (count < 0) {
                throw wrong("ends within " + what + "; it is truncated");
            }
            read += count;
        }
    }

    private IOException wrong(String what) {
        return new IOException(file + ": " + what);
    }
}
