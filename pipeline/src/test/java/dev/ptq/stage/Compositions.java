package dev.ptq.stage;

import dev.ptq.method.Phase;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

/**
 * What an experiment can be composed of, in small: steps of every kind, weight formats, activations, caches. They stand in
 * the table of compositions, and tests draw from them.
 */
public final class Compositions {
    /**
     * A step.
     *
     * @param phase in which it acts
     * @param keys its table after {@code method}, separated by semicolons
     */
    public record Step(Phase phase, String method, String keys) {
        /** The step's table. */
        public String toml() {
            return "[[approximation]]\nmethod = '" + method + "'\n" + lines(keys);
        }

        /** The name in a table. */
        public String label() {
            return method + (keys.isEmpty() ? "" : " (" + keys.replace(";", ", ") + ")");
        }
    }

    /** A table of {@code [quantization]}, or several, by a name. */
    public record Formats(String label, String toml) {}

    /** Steps, in the order of their phases. Training is short. */
    public static final List<Step> STEPS = List.of(
            step(Phase.ROTATE, "quarot", ""),
            step(Phase.ROTATE, "quarot", "rotations = ['R1', 'R4'];block_size = 16"),
            step(Phase.ROTATE, "quarot", "across_heads = true;matrix = 'orthogonal'"),
            step(Phase.ROTATE, "spinquant", "steps = 2;batch_size = 2"),
            step(Phase.TRANSFORM, "smoothquant", ""),
            step(Phase.TRANSFORM, "smoothquant", "alpha = 0.3;mappings = ['mlp_mid', 'v_o']"),
            step(Phase.TRANSFORM, "awq", "ratios = 2"),
            step(Phase.TRANSFORM, "awq", "ratios = 2;clip = false"),
            step(Phase.TRANSFORM, "awq", "preset = 'llm_compressor';ratios = 3"),
            step(Phase.TRANSFORM, "awq", "mappings = []"),
            step(Phase.SPLIT, "svdquant", "rank = 2"),
            step(Phase.SPLIT, "svdquant", "rank = 2;alternate = 1;path_input = 'rounded'"),
            step(Phase.SPLIT, "l2qer", "rank = 2;of = 'weight'"),
            step(Phase.ROUND, "gptq", ""),
            step(Phase.ROUND, "gptq", "preset = 'gptqmodel'"),
            step(Phase.ROUND, "gptq", "order = 'activation';group_parameters = 'static';sequential = 'block'"),
            step(Phase.ROUND, "omniquant", "epochs = 1;batch_size = 2"),
            step(Phase.ROUND, "omniquant", "epochs = 1;let = false"),
            step(Phase.ROUND, "omniquant", "epochs = 1;lwc = false;shift = 'zero'"),
            step(Phase.ROUND, "affinequant", "epochs = 1"),
            step(Phase.ROUND, "lrquant", "epochs = 1"),
            step(Phase.ROUND, "flexround", "iterations = 2"),
            step(Phase.ROUND, "lrq", "iterations = 2;rank = 2"),
            step(Phase.ROUND, "srr", "rank = 4"),
            step(Phase.ROUND, "qera_exact", "rank = 2;alternate = 1"),
            step(Phase.CORRECT, "lqer", "rank = 2"),
            step(Phase.CORRECT, "l2qer", "rank = 2;solver = 'randomized';iterations = 2"),
            step(Phase.CORRECT, "qera_approx", "rank_budget = 0.5;factor = { format = 'none' }"),
            step(Phase.CORRECT, "qera_exact", "rank = 2;inputs = 'true_sequential'"),
            step(Phase.CORRECT, "eora", "rank = 3;shared_factor = true"));

    /** Formats of weights. */
    public static final List<Formats> WEIGHTS = List.of(
            weight("int", "bits = 3"),
            weight("int, groups", "bits = 4;granularity = 'group';group_size = 16"),
            weight("int, mse", "bits = 4;granularity = 'group';group_size = 16;range = 'mse'"),
            weight("int, imatrix_mse", "bits = 3;grid = 'gptq';range = 'imatrix_mse'"),
            weight("mxint", "bits = 3"),
            weight("mxfp4", ""),
            weight("mxfp8_e4m3", ""),
            weight("nvfp4", ""),
            weight("nvfp4, shared_scale", "shared_scale = true"),
            weight("fp8_e4m3", ""),
            weight("nf4", ""),
            weight("hqq", "bits = 4;group_size = 16"),
            weight("ternary", ""),
            weight("minifloat", "bits = 8;exponent_bits = 4"),
            weight("fixed", "bits = 8;fraction_bits = 6"));

    /** Formats of activations. */
    public static final List<Formats> ACTIVATIONS = List.of(
            new Formats("none", ""),
            activation("mxint", "format = 'mxint';bits = 6"),
            activation("int, token", "format = 'int';bits = 6;granularity = 'token'"),
            activation("int, dynamic = false", "format = 'int';bits = 8;granularity = 'tensor';dynamic = false"),
            activation("mxfp8_e4m3", "format = 'mxfp8_e4m3'"),
            activation("nvfp4", "format = 'nvfp4'"),
            activation("llm_int8", "format = 'llm_int8'"),
            activation("llm_int8, batch", "format = 'llm_int8';per = 'batch'"));

    /** Formats of the cache. */
    public static final List<Formats> CACHES = List.of(
            new Formats("none", ""),
            new Formats("int", """
                    [quantization.kv]
                    key = { format = 'int', bits = 4, granularity = 'token', include_zero = false }
                    value = { format = 'int', bits = 4, granularity = 'token', include_zero = false }
                    """),
            new Formats("int, key per channel, window", """
                    [quantization.kv]
                    key = { format = 'int', bits = 4, per = 'channel', group_size = 8 }
                    value = { format = 'int', bits = 4 }
                    rotary = 'before'
                    window = 4
                    """),
            new Formats("int, dynamic = false", """
                    [quantization.kv]
                    key = { format = 'int', bits = 4, per = 'channel', dynamic = false }
                    value = { format = 'int', bits = 4 }
                    """),
            new Formats("attention, mxint", """
                    [quantization.attention]
                    left = { format = 'mxint', bits = 8, block_size = [1, 16] }
                    right = { format = 'mxint', bits = 8, block_size = [16, 1] }
                    """));

    private Compositions() {}

    private static Step step(Phase phase, String method, String keys) {
        return new Step(phase, method, keys);
    }

    private static Formats weight(String label, String keys) {
        String format = label.replaceFirst(",.*", "");
        return new Formats(label, "[quantization.weight]\nformat = '" + format + "'\n" + lines(keys));
    }

    private static Formats activation(String label, String keys) {
        return new Formats(label, "[quantization.activation]\n" + lines(keys));
    }

    private static String lines(String keys) {
        return keys.isEmpty()
                ? ""
                : Arrays.stream(keys.split(";", -1)).map(key -> key + "\n").collect(Collectors.joining());
    }

    /**
     * Draws an experiment: in most cases steps in the order of their phases, at most one of each, in some in any order.
     *
     * @return the tables of steps and formats
     */
    public static String draw(SplittableRandom random) {
        List<Step> steps = new ArrayList<>();
        for (Phase phase : Phase.values()) {
            if (random.nextInt(2) == 0) {
                steps.add(any(
                        random,
                        STEPS.stream().filter(step -> step.phase() == phase).toList()));
            }
        }
        if (random.nextInt(8) == 0) {
            steps.add(random.nextInt(steps.size() + 1), any(random, STEPS));
        }
        StringBuilder toml = new StringBuilder();
        steps.forEach(step -> toml.append(step.toml()));
        // most methods that learn take plain integers alone
        toml.append(any(random, random.nextInt(2) == 0 ? WEIGHTS : WEIGHTS.subList(0, 2))
                .toml());
        toml.append(any(random, ACTIVATIONS).toml());
        toml.append(any(random, CACHES).toml());
        return toml.toString();
    }

    private static <T> T any(SplittableRandom random, List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }
}
