package dev.ptq.parquet;

/** Memory that rows may take: a few bytes of a file can stand for any number of them. */
final class Budget {
    /** A row, a list or a value, without what it holds. */
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
