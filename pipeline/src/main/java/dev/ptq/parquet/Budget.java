package dev.ptq.parquet;

/** A limit on the memory that rows may take: a few bytes of a file can stand for any number of rows. */
final class Budget {
    /** Bytes of a row, a list or a value, without its contents. */
    static final int NODE = 64;

    private final long most;
    private long used;

    Budget(long most) {
        this.most = most;
    }

    void charge(long bytes) {
        used += bytes;
        if (used > most) {
            throw new IllegalArgumentException("its rows take more than " + (most >> 20)
                    + " MiB of memory; split the file, or give Java more with PTQ_JAVA_OPTIONS=-Xmx…");
        }
    }
}
