package dev.ptq.progress;

/** Progress without output. */
record Silence() implements Progress {
    @Override
    public void step(long done) {}

    @Override
    public void close() {}
}
