package dev.ptq.model;

/**
 * What a model says of {@link TargetPositions}.
 *
 * <p>Arrays have one value for each place.
 */
public final class Predictions {
    private final double[] losses;
    private final boolean[] likeliest;

    Predictions(double[] losses, boolean[] likeliest) {
        this.losses = losses;
        this.likeliest = likeliest;
    }

    /** The negative log-likelihood of the token, in nats. */
    public double loss(int place) {
        return losses[place];
    }

    /** Whether no token is likelier, and no lower id as likely. */
    public boolean isGreedy(int place) {
        return likeliest[place];
    }
}
