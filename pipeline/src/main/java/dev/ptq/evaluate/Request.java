package dev.ptq.evaluate;

/** Token ids whose last ones are scored, given those before. */
public final class Request {
    private final int[] ids;
    private final int scored;

    /**
     * Makes a request.
     *
     * @param ids context and continuation, at most one more than the model can take: the last is not an input; not
     *     copied
     * @param scored how many of the last ids are the continuation: at least one, and fewer than there are ids
     */
    public Request(int[] ids, int scored) {
        if (scored < 1 || scored >= ids.length) {
            throw new IllegalArgumentException("expected 1 to " + (ids.length - 1) + " scored ids, got " + scored);
        }
        this.ids = ids;
        this.scored = scored;
    }

    /** Returns context and continuation; not to be modified. */
    public int[] ids() {
        return ids;
    }

    /** Returns how many of the last ids are scored. */
    public int scored() {
        return scored;
    }
}
