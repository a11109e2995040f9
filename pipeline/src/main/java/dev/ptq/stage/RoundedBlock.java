package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.format.NumberFormat;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockPatch;
import dev.ptq.method.Method;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.TokenCost;
import dev.ptq.model.WeightStorage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/** The weights of one block as the formats and steps of a candidate make them. */
final class RoundedBlock {
    private final Map<String, NDArray> weights = new LinkedHashMap<>();
    private final Map<String, Double> bits = new LinkedHashMap<>();
    private final Map<String, TokenCost> costs = new LinkedHashMap<>();

    private RoundedBlock() {}

    /** Rounds blocks as a candidate does. */
    interface Rounding {
        /**
         * Rounds a block.
         *
         * @param owner of the weights
         */
        RoundedBlock round(int block, NDManager owner) throws IOException;
    }

    /** Makes ready for the blocks of a model. */
    static Rounding by(Candidate candidate, Workspace workspace, LanguageModel model, Map<String, Path> inputs)
            throws IOException {
        Experiment experiment = candidate.experiment();
        ActivationStatistics statistics = KnownFormats.statistics(inputs);
        ModelFormats formats =
                KnownFormats.in(workspace, model, experiment.quantization().weightsOnly(), inputs);
        ModelFormats operands = ModelFormats.of(experiment.quantization(), experiment.shape());
        BlockContext.Setting setting = new BlockContext.Setting(
                experiment.shape(), formats, experiment.statistics(), experiment.expertTokens(statistics));
        return (index, owner) -> {
            try (Block block = model.load(index)) {
                BlockContext context =
                        new BlockContext(setting, block, statistics, Optional.empty(), experiment.seed());
                for (Method step : experiment.steps().steps()) {
                    step.apply(context);
                }
                BlockPatch patch = context.finish();
                RoundedBlock rounded = new RoundedBlock();
                for (LinearSpec linear : QuantizedModel.linears(experiment.shape(), index)) {
                    rounded.weights.put(linear.path(), context.effectiveWeight(linear.path(), owner));
                    Optional<LowRank> path = patch.lowRank(linear.path());
                    NumberFormat format = QuantizeStage.format(formats, linear, patch);
                    WeightStorage storage = WeightStorage.of(linear, format);
                    rounded.bits.put(
                            linear.path(),
                            storage.bits() + path.map(LowRank::bits).orElse(0.0));
                    rounded.costs.put(
                            linear.path(),
                            TokenCost.of(
                                    linear,
                                    experiment.shape().block(index),
                                    storage,
                                    operands.of(linear).activation(),
                                    path));
                }
                return rounded;
            }
        };
    }

    /** What a linear multiplies its input by, {@code [outFeatures, inFeatures]}. */
    NDArray weight(LinearSpec linear) {
        return Objects.requireNonNull(weights.get(linear.path()), linear.path());
    }

    /** Storage of a linear. */
    double bits(LinearSpec linear) {
        return Objects.requireNonNull(bits.get(linear.path()), linear.path());
    }

    TokenCost cost(LinearSpec linear) {
        return Objects.requireNonNull(costs.get(linear.path()), linear.path());
    }
}
