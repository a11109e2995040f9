package dev.ptq.calibrate;

import dev.ptq.model.HookPoint;
import dev.ptq.model.InputSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** How many tokens of the calibration set the routers of a model send to each expert. */
public final class ExpertTokens {
    private final Optional<ExpertSettings> settings;
    private final Map<Place, Integer> tokens = new LinkedHashMap<>();

    private record Place(int block, String expert) {}

    /**
     * An expert.
     *
     * @param block from 0
     * @param expert its number in the block
     */
    public record Count(int block, String expert, int tokens) {
        @Override
        public String toString() {
            return "block " + block + " expert " + expert + " (" + tokens + ")";
        }
    }

    private ExpertTokens(Optional<ExpertSettings> settings) {
        this.settings = settings;
    }

    /** Those of a model without experts, or that no statistics are taken of. */
    public static ExpertTokens none() {
        return new ExpertTokens(Optional.empty());
    }

    /**
     * Looks them up.
     *
     * @param inputs of the whole model
     */
    public static ExpertTokens of(
            ActivationStatistics statistics, List<InputSpec> inputs, Optional<ExpertSettings> settings) {
        ExpertTokens all = new ExpertTokens(settings);
        if (settings.isPresent()) {
            for (InputSpec input : inputs) {
                if (Statistic.TOKENS.isOf(input.hookPoint())) {
                    all.tokens.put(new Place(input.block(), input.hookPoint().expert()), (int)
                            statistics.of(input.block(), input.hookPoint(), Statistic.TOKENS)[0]);
                }
            }
        }
        return all;
    }

    /** All experts, block by block. */
    public List<Count> counts() {
        List<Count> counts = new ArrayList<>();
        tokens.forEach((place, count) -> counts.add(new Count(place.block(), place.expert(), count)));
        return counts;
    }

    /** Those with too few. */
    public List<Count> few() {
        int least = settings.map(ExpertSettings::minTokens).orElse(0);
        return counts().stream().filter(count -> count.tokens() < least).toList();
    }

    /** Returns whether methods work on the linears behind a hook point: not on those of an expert with too few tokens. */
    public boolean suffice(int block, HookPoint hookPoint) {
        if (settings.isEmpty() || settings.get().policy() != ExpertSettings.Policy.ROUND_TO_NEAREST) {
            return true;
        }
        return tokens.getOrDefault(new Place(block, hookPoint.expert()), Integer.MAX_VALUE)
                >= settings.get().minTokens();
    }
}
