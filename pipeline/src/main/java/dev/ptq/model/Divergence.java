package dev.ptq.model;

/** How the predictions of two models differ, at each position of {@link TargetPositions}. */
public final class Divergence {
    private final double[] divergences;
    private final boolean[] agreements;

    Divergence(double[] divergences, boolean[] agreements) {
        this.divergences = divergences;
        this.agreements = agreements;
    }

    /** How many positions there are. */
    public int count() {
        return divergences.length;
    }

    /** The Kullback-Leibler divergence of the second model's distribution from the first's, in nats. */
    public double divergence(int position) {
        return divergences[position];
    }

    /** Whether both find the same token the likeliest. */
    public boolean agrees(int position) {
        return agreements[position];
    }
}
