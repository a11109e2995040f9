package dev.ptq.parquet;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** A part of a file. */
final class FileRange extends InputStream {
    private static final int BUFFER = 1 << 15;

    private final FileChannel channel;
    private final long end;
    private long position;

    private FileRange(FileChannel channel, long start, long end) {
        this.channel = channel;
        this.position = start;
        this.end = end;
    }

    static InputStream buffered(FileChannel channel, long start, long end) {
        return new BufferedInputStream(new FileRange(channel, start, end), BUFFER);
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 255;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        int wanted = (int) Math.min(length, end - position);
        if (wanted <= 0) {
            return length == 0 ? 0 : -1;
        }
        int count = channel.read(ByteBuffer.wrap(bytes, offset, wanted), position);
        position += Math.max(0, count);
        return count;
    }
}
