package dev.ptq.stage;

import dev.ptq.config.ConfigException;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.method.Method;
import dev.ptq.method.Phase;
import dev.ptq.model.QuantizationSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Formats and steps whose errors are compared with those of others, linear by linear.
 *
 * @param experiment they are those of
 */
public record Candidate(Experiment experiment) {
    /** The part in a fingerprint. */
    record Content(
            QuantizationSettings weights,
            List<Method> steps,
            @OmittedIfEmpty Optional<Long> seed,
            boolean strict) {}

    Content content() {
        return new Content(
                experiment.quantization().weightsOnly(),
                experiment.steps().steps(),
                experiment.steps().draws() ? Optional.of(experiment.seed()) : Optional.empty(),
                experiment.strict());
    }

    /**
     * Makes sure that errors of weights can be compared with the weights of the model.
     *
     * @param source the name of the config in messages
     * @throws ConfigException with all that stands against it
     */
    public void require(String source) {
        List<String> problems = new ArrayList<>();
        if (experiment.calibration().isEmpty()) {
            problems.add(source + ": scores of linears are taken on calibration samples: add a [calibration] section");
        }
        for (Method step : experiment.steps().steps()) {
            if (step.phase() == Phase.ROTATE || !step.transforms().isEmpty()) {
                problems.add(source + ": " + step.name()
                        + " changes weights before they are rounded, so that their errors cannot be compared with"
                        + " those of other formats; leave it out here, and add it to the config that results");
            } else if (step.needs().quantizedPath()
                    || step.needs().samples()
                    || step.samplesAtOnce().isPresent()) {
                problems.add(source + ": " + step.name()
                        + " lets samples run through rounded blocks, which the comparison of linears does not; set its"
                        + " inputs = \"full_precision\" if it has that key, or leave it out here and add it to the"
                        + " config that results");
            }
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }
}
