package dev.ptq.artifact;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * Something that a run did otherwise than its config may lead one to expect. With {@code strict = true} each is an error.
 */
public enum LedgerEvent {
    /** Something odd about the model, or what a step has no place for in it. */
    MODEL_NOTE("remarks on the model", "name in the config what the model has"),
    /** An expert that the router sends few tokens of calibration to. */
    FEW_TOKENS(
            "experts that calibration hardly reaches",
            "take more samples, or set calibration.expert_policy = \"route_all\""),
    /** A mapping whose channels a method was to rescale, and left as they are. */
    NOT_RESCALED("mappings that were not rescaled", "leave them out of the step's mappings, or take more samples"),
    /** A weight that a method was to round, and left to rounding to nearest. */
    FELL_BACK("weights left to rounding to nearest", "take more samples, or raise the step's damping"),
    /** A weight with columns whose input is always zero; the amount is their number. */
    DEAD_COLUMNS("weights with columns whose input is always zero", "take more, or more varied, samples"),
    /** A Hessian that took more damping than the step asks for; the amount is the share of its mean diagonal. */
    MORE_DAMPING("weights that took more damping than asked for", "take more samples, or raise the step's damping"),
    /** A weight of which something got worse than it is rounded to nearest; the amount is the loss over that one. */
    WORSE_THAN_NEAREST(
            "places left worse than rounded to nearest",
            "train longer, lower the learning rates, or leave the step out"),
    /** A training that ended early, because its loss was not finite; the amount is the step that was kept. */
    DIVERGED("trainings that diverged", "lower the learning rates"),
    /** A low-rank correction that raised the error it was to lower; the amount is the error over the one before. */
    CORRECTION_WORSE("low-rank corrections that raised the error", "take wider factors, or leave these weights out"),
    /**
     * A fold that moved what the model computes in full precision by more than {@link #MOST_MOVED}; the amount is the
     * distance.
     */
    MOVED("folds that changed the function in full precision", "leave the mapping out, or set q_k = \"exact\""),
    /** A weight that its number format cuts off; the amount is the number of blocks with such values. */
    SATURATED("weights that saturate", "take more bits, smaller blocks, or in formats that have it another scale_rule"),
    /** A weight with values that are NaN or infinite; the amount is the number of blocks with such values. */
    NOT_FINITE("weights that are NaN or infinite", "look at the checkpoint");

    /** The largest distance, as a share of the largest magnitude, that folds in float32 may move an output by. */
    public static final double MOST_MOVED = 1e-3;

    private final String plural;
    private final String remedy;

    LedgerEvent(String plural, String remedy) {
        this.plural = plural;
        this.remedy = remedy;
    }

    /** The name in files. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** What happened, of several places. */
    public String plural() {
        return plural;
    }

    /** What to do about it. */
    public String remedy() {
        return remedy;
    }

    /** Returns the event with that name in files. */
    static Optional<LedgerEvent> labelled(String label) {
        return Arrays.stream(values())
                .filter(event -> event.label().equals(label))
                .findFirst();
    }
}
