package dev.ptq.data;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;

/** Decompressed data up to a limit, since a small file may expand to any size. */
final class LimitedStream extends FilterInputStream {
    private final long most;
    private final Path file;
    private long count;

    LimitedStream(InputStream in, long most, Path file) {
        super(in);
        this.most = most;
        this.file = file;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 255;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        int read = super.read(bytes, offset, length);
        count += Math.max(0, read);
        if (count > most) {
            throw new IOException(file + ": has more than " + (most >> 20)
                    + " MiB when unpacked; split it, or give Java more memory with PTQ_JAVA_OPTIONS=-Xmx…");
        }
        return read;
    }
}
