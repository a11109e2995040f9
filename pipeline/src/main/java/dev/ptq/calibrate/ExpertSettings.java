package dev.ptq.calibrate;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import java.util.Optional;

/**
 * What becomes of experts that the router sends few tokens of the calibration set to, the keys of {@code [calibration]}
 * for mixtures.
 *
 * @param minTokens that an expert needs
 */
public record ExpertSettings(int minTokens, Policy policy) {
    /** What becomes of experts with fewer tokens. */
    public enum Policy {
        /** No method works on them. */
        ROUND_TO_NEAREST,
        /** All experts see all tokens while statistics are taken. */
        ROUTE_ALL,
        /** The run ends. */
        ERROR
    }

    private static final Key<Integer> MIN_TOKENS = Key.integer("min_expert_tokens")
            .from(1)
            .preset(16)
            .says(
                    "tokens that the router must send to an expert. With a model without experts, this key and the next are"
                            + " refused");

    private static final Key<Policy> POLICY = Key.choice(
                    "expert_policy",
                    Choices.of(
                                    "round_to_nearest",
                                    Policy.ROUND_TO_NEAREST,
                                    "they are rounded to nearest; no method works on them")
                            .and(
                                    "route_all",
                                    Policy.ROUTE_ALL,
                                    "statistics of every expert are taken of all tokens, so that none has too few. What the"
                                            + " model computes stays as it is")
                            .and("error", Policy.ERROR, "the run ends and names them"))
            .preset(Policy.ROUND_TO_NEAREST)
            .says("what becomes of experts with fewer tokens");

    static final Keys KEYS = Keys.of(MIN_TOKENS, POLICY);

    /** Reads the keys; of a model without experts they are refused. */
    static Optional<ExpertSettings> read(ConfigTable table, boolean hasExperts) {
        if (hasExperts) {
            return Optional.of(new ExpertSettings(table.read(MIN_TOKENS), table.read(POLICY)));
        }
        for (Key<?> key : KEYS.all()) {
            table.refuse(key, "the model has no experts; leave it out");
        }
        return Optional.empty();
    }
}
