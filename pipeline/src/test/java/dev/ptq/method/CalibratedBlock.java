package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.format.Grid;
import dev.ptq.model.Block;
import dev.ptq.model.BlockPass;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.Linear;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.SyntheticModel;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;

/** The first block of a random llama, with what comes to its linears on random tokens. */
final class CalibratedBlock implements AutoCloseable {
    private final LanguageModel model;
    private final HiddenStates states;
    final Block block;
    /** Inputs of the block's linears, {@code [tokens, features]}, float64. */
    final Map<HookPoint, NDArray> inputs = new HashMap<>();

    final ActivationStatistics statistics;

    /** A block whose weights are noise alone. */
    CalibratedBlock(Path folder) throws IOException {
        this(folder, 0);
    }

    /**
     * Makes a block.
     *
     * @param spikes rank of a part, larger than the noise, that is added to each weight
     */
    CalibratedBlock(Path folder, int spikes) throws IOException {
        model = LanguageModel.open(
                SyntheticModel.llama().heads(8, 4).write(Files.createDirectory(folder.resolve("model"))));
        block = model.load(0);
        SplittableRandom random = new SplittableRandom(3);
        for (Linear linear : block.linears()) {
            NDArray weight = linear.weight();
            for (int i = 0; i < spikes; i++) {
                NDArray spike = gaussian(random, weight.size(0), 1).matMul(gaussian(random, 1, weight.size(1)));
                weight = weight.add(spike.mul(0.04f));
            }
            linear.replaceWeight(weight);
        }
        int[][] chunks = new int[6][24];
        for (int[] chunk : chunks) {
            for (int i = 0; i < chunk.length; i++) {
                chunk[i] = random.nextInt(97);
            }
        }
        states = model.embed(chunks, chunks.length);
        try (BlockPass pass = new BlockPass(model);
                ActivationStatistics.Collector collector = new ActivationStatistics.Collector(
                        WantedStatistics.ofEvery(EnumSet.allOf(Statistic.class)), 2)) {
            pass.forward(block, states.batch(0), (index, hookPoint, input) -> {
                collector.observe(index, hookPoint, input);
                NDArray copy = input.values().toType(DataType.FLOAT64, true).reshape(-1, input.features());
                copy.attach(block.manager());
                inputs.put(hookPoint, copy);
            });
            statistics = collector.finished();
        }
    }

    private NDArray gaussian(SplittableRandom random, long rows, long columns) {
        float[] values = new float[Math.toIntExact(rows * columns)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(block.manager(), values, rows, columns);
    }

    /** Starts work on the block as it was loaded. */
    BlockContext context(String quantization, ActivationStatistics given) {
        QuantizationSettings read = QuantizationSettings.read(
                ConfigTable.parse(quantization.replace('\'', '"'), "test", List.of(), QuantizationSettings.SECTION));
        return new BlockContext(
                new BlockContext.Setting(model.config(), read, WantedStatistics.ofEvery(Set.of())),
                block,
                given,
                Optional.empty(),
                1);
    }

    /** Reads a step; {@code '} stands for a quotation mark. */
    static Method method(String keys) {
        ConfigTable table = ConfigTable.parse(keys.replace('\'', '"'), "test", List.of(), Methods.SECTION);
        Method method = Methods.read(table);
        table.finish();
        return method;
    }

    Linear linear(LinearSpec spec) {
        return block.linear(spec.path());
    }

    /** A weight as it was loaded, less what runs in its place: its grid and its path. */
    NDArray lacking(BlockPatch patch, LinearSpec spec) {
        NDArray weight = linear(spec).weight();
        NDArray rounded = patch.grid(spec.path())
                .map(grid -> values(grid))
                .orElseThrow(() -> new IllegalStateException(spec.path() + " was not rounded"));
        NDArray error = weight.sub(rounded);
        Optional<LowRank> path = patch.lowRank(spec.path());
        return path.isEmpty()
                ? error
                : error.sub(path.get().a().matMul(path.get().b()).transpose(1, 0));
    }

    private NDArray values(Grid grid) {
        return grid.values(block.manager());
    }

    /** The mean square, over tokens and outputs, of what an error of a weight, {@code [out, in]}, adds to an output. */
    double outputLoss(LinearSpec spec, NDArray error) {
        NDArray input = Objects.requireNonNull(inputs.get(spec.hookPoint()));
        NDArray output = input.matMul(error.transpose(1, 0).toType(DataType.FLOAT64, false));
        return output.square().sum().getDouble() / input.size(0) / spec.outFeatures();
    }

    /** {@code ||error|| / ||weight||}. */
    double relative(LinearSpec spec, NDArray error) {
        return Math.sqrt(NativeFloats.sumOfSquares(error)
                / NativeFloats.sumOfSquares(linear(spec).weight()));
    }

    @Override
    public void close() throws IOException {
        states.close();
        block.close();
        model.close();
    }
}
