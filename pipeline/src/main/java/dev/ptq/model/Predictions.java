package dev.ptq.model;

/**
 * A model's predictions at {@link TargetPositions}.
 *
 * <p>Arrays have one value per place.
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

    /** Returns whether no token is likelier, and no lower id equally likely. */
    public boolean isGreedy(int place) {
        return likeliest[place];
    }
}
