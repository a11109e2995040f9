package dev.ptq.progress;

/** Says nothing. */
record Silence() implements Progress {
    @Override
    public void step(long done) {}

    @Override
    public void close() {}
}
