package dev.ptq.model;

/** The divergence between the predictions of two models, at each position of {@link TargetPositions}. */
public final class Divergence {
    private final double[] divergences;
    private final boolean[] agreements;

    Divergence(double[] divergences, boolean[] agreements) {
        this.divergences = divergences;
        this.agreements = agreements;
    }

    /** Number of positions. */
    public int count() {
        return divergences.length;
    }

    /** The Kullback-Leibler divergence of the second model's distribution from the first's, in nats. */
    public double divergence(int position) {
        return divergences[position];
    }

    /** Returns whether both models find the same token the likeliest. */
    public boolean agrees(int position) {
        return agreements[position];
    }
}
