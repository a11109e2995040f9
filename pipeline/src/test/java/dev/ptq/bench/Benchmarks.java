package dev.ptq.bench;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.data.Tokenizer;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.BlockFloatFormat;
import dev.ptq.format.FixedPointFormat;
import dev.ptq.format.Formats;
import dev.ptq.format.Fp8Format;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerGrid;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.MinifloatFormat;
import dev.ptq.format.MxFormat;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NormalFloatFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.Operand;
import dev.ptq.format.SmallFloat;
import dev.ptq.format.TernaryFormat;
import dev.ptq.method.GptqTimes;
import dev.ptq.method.LowRankSolver;
import dev.ptq.model.ActivationObserver;
import dev.ptq.model.AttentionFormats;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.HiddenStates;
import dev.ptq.model.HookPoint;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearFormats;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.Rounding;
import dev.ptq.model.Scoring;
import dev.ptq.model.SyntheticModel;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Hadamard;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.regex.Pattern;

/**
 * Speed, as ratios between things timed in turn in one process. Run by {@code scripts/bench} on a quiet machine; each
 * figure is the median of several.
 */
public final class Benchmarks {
    /** Values per second of the original Python {@code block_fp} on this task, in millions. */
    private static final double ORIGINAL_VALUES = 34;

    private static final int TASK_ROUNDS = 3;

    private static final String FORMATS_LIKE = "formats:";

    private Benchmarks() {}

    private interface Work {
        void run() throws IOException;
    }

    /**
     * Runs the sections named, or all of: formats, forward, lowrank, rounding, tasks, training. {@code formats:REGEX} runs
     * the formats whose names have a part that matches.
     */
    public static void main(String[] sections) throws IOException {
        List<String> wanted = sections.length == 0
                ? List.of("formats", "forward", "lowrank", "rounding", "tasks", "training")
                : List.of(sections);
        for (String section : wanted) {
            if (section.startsWith(FORMATS_LIKE)) {
                formats(Pattern.compile(section.substring(FORMATS_LIKE.length())));
                continue;
            }
            switch (section) {
                case "formats" -> formats(Pattern.compile(""));
                case "forward" -> forward();
                case "lowrank" -> {
                    lowRank();
                    for (int[] shape : new int[][] {{4096, 4096}, {4096, 11008}, {11008, 4096}}) {
                        lowRankByHessian(shape[0], shape[1]);
                    }
                }
                case "rounding" -> rounding();
                case "tasks" -> tasks();
                case "training" -> training();
                default -> throw new IllegalArgumentException("no section " + section);
            }
        }
    }

    private static void training() throws IOException {
        List<String> quick = List.of(
                "method = \"omniquant\"\nlet = false\nepochs = 10",
                "method = \"omniquant\"\nepochs = 10",
                "method = \"affinequant\"\nepochs = 10",
                "method = \"affinequant\"\nepochs = 10\nnorm_matrix = true",
                "method = \"lrquant\"\nepochs = 10",
                "method = \"flexround\"\niterations = 200",
                "method = \"lrq\"\niterations = 200",
                "method = \"autoround\"");
        Optional<Path> tiny = Shared.find("models/stories260k");
        if (tiny.isPresent()) {
            TrainingSteps.measure("stories260k", tiny.get(), 32, 256, quick);
            print("  the original's code took %.1f s a block for the next (one thread, beside other work)", 42.5 / 5);
            TrainingSteps.measure("stories260k", tiny.get(), 32, 256, List.of("method = \"omniquant\"\nepochs = 20"));
        }
        TrainingSteps.measure(
                "the reference model", ModelFolder.resolve("reference").path(), 32, 256, quick);
    }

    private static void formats(Pattern wanted) throws IOException {
        print("fake quantization of 4096x4096 in place");
        Map<String, NumberFormat> formats = new LinkedHashMap<>();
        formats.put("mxint 4 [1,16]", mxint(4, 1, 16));
        formats.put("mxint 8 [1,16]", mxint(8, 1, 16));
        formats.put("mxint 8 [16,1]", mxint(8, 16, 1));
        formats.put("mxint 4 [1,128]", mxint(4, 1, 128));
        formats.put("int 4 channel", new IntegerFormat(4, IntegerFormat.Granularity.CHANNEL, 0, true));
        formats.put("int 4 group 128", new IntegerFormat(4, IntegerFormat.Granularity.GROUP, 128, false));
        for (IntegerGrid grid : IntegerGrid.values()) {
            if (grid != IntegerGrid.NARROW) {
                String name = "int 4 " + grid.name().toLowerCase(Locale.ROOT);
                formats.put(name, gridded(grid));
            }
        }
        formats.put("ternary", new TernaryFormat(IntegerFormat.Granularity.CHANNEL, 0, TernaryFormat.Scale.ABSMEAN));
        formats.put("nf4", new NormalFloatFormat(4, 64));
        formats.put("nf4 double", new NormalFloatFormat(4, 64, 256, NormalFloatFormat.Rule.BITSANDBYTES));
        formats.put("nf3", new NormalFloatFormat(3, 64));
        formats.put("hqq 4", hqq(1));
        formats.put("hqq 4 axis 0", hqq(0));
        formats.put("minifloat 8 (4)", new MinifloatFormat(8, 4, 7));
        formats.put("fixed 8 (4)", new FixedPointFormat(8, 4, true));
        for (SmallFloat element : SmallFloat.values()) {
            formats.put("mx " + element, new MxFormat(element));
        }
        formats.put(
                "mx E2M1 away",
                new MxFormat(SmallFloat.E2M1, 32, MxFormat.ScaleRule.FLOOR, SmallFloat.Ties.AWAY, false));
        formats.put("fp8 channel", new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.CHANNEL));
        formats.put(
                "fp8 [128,128]",
                new Fp8Format(
                        SmallFloat.E4M3,
                        Fp8Format.Granularity.BLOCK,
                        List.of(128, 128),
                        Fp8Format.Rule.COMPRESSED_TENSORS));
        formats.put("nvfp4", new Nvfp4Format());
        formats.put("nvfp4 four over six (2)", nvfp4(true, Nvfp4Format.Range.MINMAX));
        formats.put("nvfp4 mse (20)", nvfp4(false, Nvfp4Format.Range.MSE));
        formats.put("int 4 gptq_mse (80)", searched(IntegerFormat.Range.GPTQ_MSE));
        formats.put("int 4 compressed_tensors_mse (20)", searched(IntegerFormat.Range.COMPRESSED_TENSORS_MSE));
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray values = gaussian(manager, 4096, 4096);
            NDArray copy = values.duplicate();
            Work restore =
                    () -> NativeFloats.writableWindow(copy).put(0, NativeFloats.window(values), 0, (int) values.size());
            double copying = median(15, restore, () -> {})[0];
            print("  %-24s %6.1f ms", "copy", copying * 1e3);
            formats.keySet().removeIf(name -> !wanted.matcher(name).find());
            for (Map.Entry<String, NumberFormat> format : formats.entrySet()) {
                double seconds =
                        median(15, () -> format.getValue().fakeQuantizeInPlace(copy, Operand.WEIGHT), restore)[0];
                double millions = values.size() / seconds / 1e6;
                print(
                        "  %-24s %6.1f ms  %5.1f x a copy  %6.0f million values/s  %5.1f x the original's %.0f",
                        format.getKey(),
                        seconds * 1e3,
                        seconds / copying,
                        millions,
                        millions / ORIGINAL_VALUES,
                        ORIGINAL_VALUES);
            }
        }
    }

    private static NumberFormat hqq(int axis) {
        return Formats.parse("{ format = 'hqq', bits = 4, axis = " + axis + " }", "bench", Formats.Use.WEIGHT);
    }

    private static NumberFormat gridded(IntegerGrid grid) {
        return new IntegerGridFormat(
                4,
                IntegerFormat.Granularity.CHANNEL,
                0,
                grid,
                IntegerGrid.Mapping.SYMMETRIC,
                IntegerFormat.Range.MINMAX);
    }

    private static NumberFormat searched(IntegerFormat.Range range) {
        return new IntegerGridFormat(
                4, IntegerFormat.Granularity.GROUP, 128, IntegerGrid.GPTQ, IntegerGrid.Mapping.SYMMETRIC, range);
    }

    private static NumberFormat nvfp4(boolean fourOverSix, Nvfp4Format.Range range) {
        return new Nvfp4Format(Nvfp4Format.Rule.COMPRESSED_TENSORS, true, fourOverSix, range, Optional.empty());
    }

    private static void forward() throws IOException {
        Path folder = Files.createTempDirectory("ptq-bench-");
        SyntheticModel.llama()
                .sizes(512, 1376)
                .layers(8)
                .heads(8, 8)
                .vocabulary(4096)
                .positions(512)
                .write(folder);
        NumberFormat activation = mxint(8, 1, 16);
        QuantizationSettings w4a8 = new QuantizationSettings(
                new LinearFormats(mxint(4, 1, 16), activation, activation),
                new AttentionFormats(activation, mxint(8, 16, 1)),
                List.of());
        int[][] chunks = new int[4][512];
        SplittableRandom random = new SplittableRandom(1);
        for (int[] chunk : chunks) {
            Arrays.setAll(chunk, i -> random.nextInt(4096));
        }
        try (LanguageModel model = LanguageModel.open(folder);
                BlockRunner full = new BlockRunner(model, BlockRunner.BlockChange.none(), true);
                BlockRunner quantized = new BlockRunner(model, block -> Rounding.quantize(block, w4a8), true);
                NDManager manager = TensorEngine.newManager()) {
            double[] seconds = median(
                    15, () -> pass(model, full, chunks), () -> {}, () -> pass(model, quantized, chunks), () -> {});
            print("perplexity forward, llama of hidden 512, 8 layers, 4 chunks of 512 tokens, vocabulary 4096");
            print(
                    "  float32 %.0f ms, W4A8 %.0f ms: ratio %.3f",
                    seconds[0] * 1e3, seconds[1] * 1e3, seconds[1] / seconds[0]);
            double reached = flops(model.config(), chunks.length, 512) / seconds[0] / 1e9;
            NDArray x = gaussian(manager, 2048, 2048);
            double[] products = median(
                    9,
                    () -> x.matMul(x.transpose()).close(),
                    () -> {},
                    () -> Torch.linear(x, x).close(),
                    () -> {});
            double cube = 2.0 * 2048 * 2048 * 2048 / 1e9;
            print(
                    "  matrix products of the float32 pass over its whole time: %.0f GFLOP/s; sgemm of 2048: MKL %.0f,"
                            + " oneDNN %.0f GFLOP/s; reached %.0f %% of the better",
                    reached,
                    cube / products[0],
                    cube / products[1],
                    100 * reached / (cube / Math.min(products[0], products[1])));
        } finally {
            for (Path file : List.of(folder.resolve("config.json"), folder.resolve("model.safetensors"), folder)) {
                Files.deleteIfExists(file);
            }
        }
    }

    private static void pass(LanguageModel model, BlockRunner runner, int[][] chunks) throws IOException {
        try (HiddenStates states = model.embed(chunks, 2);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            Scoring.nextTokenLosses(model, states, chunks);
        }
    }

    private static double flops(ModelConfig config, int chunks, int tokens) {
        double perToken = LanguageModel.linears(config).stream()
                        .mapToLong(LinearSpec::size)
                        .sum()
                + (double) config.vocabulary().size() * config.hiddenSize()
                + 2.0 * config.blocks() * config.block(0).attention().queryWidth() * tokens;
        return 2 * perToken * chunks * tokens;
    }

    private static void lowRank() throws IOException {
        print("top 32 of a 4096x4096 quantization error, rows weighted");
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray weight = gaussian(manager, 4096, 4096);
            NDArray error = weight.sub(mxint(4, 1, 16).fakeQuantize(weight, Operand.WEIGHT));
            SplittableRandom random = new SplittableRandom(3);
            float[] scales = new float[4096];
            for (int i = 0; i < scales.length; i++) {
                scales[i] = (float) Math.exp(0.7 * random.nextGaussian());
            }
            NDArray scale = NativeFloats.of(manager, scales, 4096);
            NDArray scaled = error.mul(scale.reshape(4096, 1));
            LowRankSolver exact = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, false);
            LowRankSolver all = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, true);
            LowRankSolver randomized = new LowRankSolver(LowRankSolver.Kind.RANDOMIZED, 8, 16, false);
            double[] energy = new double[4];
            double[] seconds = new double[4];
            seconds[0] = median(
                    1,
                    () -> {
                        NDList parts = Torch.svd(scaled);
                        float[] values = parts.get(1).toFloatArray();
                        double total = 0;
                        for (int i = 0; i < values.length; i++) {
                            double square = (double) values[i] * values[i];
                            total += square;
                            energy[0] += i < 32 ? square : 0;
                        }
                        energy[0] /= total;
                        parts.close();
                    },
                    () -> energy[0] = 0)[0];
            seconds[1] =
                    median(1, () -> energy[1] = all.solve(error, scale, 32, 1).capturedEnergy(), () -> {})[0];
            seconds[2] =
                    median(3, () -> energy[2] = exact.solve(error, scale, 32, 1).capturedEnergy(), () -> {})[0];
            seconds[3] = median(
                    5, () -> energy[3] = randomized.solve(error, scale, 32, 1).capturedEnergy(), () -> {})[0];
            String[] names = {"full SVD", "exact, with all singular values", "exact", "randomized"};
            for (int i = 0; i < names.length; i++) {
                print(
                        "  %-32s %7.2f s, %5.1f x as fast, energy captured %.5f = %.4f %% of the SVD's",
                        names[i], seconds[i], seconds[0] / seconds[i], energy[i], 100 * energy[i] / energy[0]);
            }
        }
    }

    private static void tasks() throws IOException {
        Optional<Path> folder = Shared.find("models/stories260k");
        Optional<Path> data = Shared.find("data/tasks");
        if (folder.isEmpty() || data.isEmpty()) {
            print("tasks: no folder ../shared with models/stories260k and data/tasks");
            return;
        }
        NumberFormat none = new NoFormat();
        NumberFormat eight = mxint(8, 1, 16);
        Map<String, QuantizationSettings> variants = new LinkedHashMap<>();
        variants.put("float32", QuantizationSettings.none());
        variants.put(
                "mxint 4, weights only",
                new QuantizationSettings(
                        new LinearFormats(mxint(4, 1, 32), none, none), AttentionFormats.none(), List.of()));
        variants.put(
                "mxint W4A8",
                new QuantizationSettings(
                        new LinearFormats(mxint(4, 1, 16), eight, eight),
                        new AttentionFormats(eight, eight),
                        List.of()));
        print("zero-shot tasks on stories260k: documents per second, all passes, and each request alone");
        try (LanguageModel model = LanguageModel.open(folder.get());
                Tokenizer tokenizer = Tokenizer.open(folder.get())) {
            for (Map.Entry<String, QuantizationSettings> variant : variants.entrySet()) {
                try (BlockRunner runner =
                        new BlockRunner(model, block -> Rounding.quantize(block, variant.getValue()), true)) {
                    TaskPasses passes = new TaskPasses(model, runner, tokenizer, data.get());
                    double[] seconds = median(
                            TASK_ROUNDS,
                            passes::together,
                            () -> {},
                            passes::alone,
                            () -> {},
                            passes::scoring,
                            () -> {},
                            passes::perplexity,
                            () -> {});
                    double together = passes.documents() / seconds[0];
                    double alone = passes.documentsAlone() / seconds[1];
                    double scoring = passes.scoredTokens() / seconds[2];
                    double perplexity = TaskPasses.PERPLEXITY_TOKENS / seconds[3];
                    print(
                            "  %-22s %5.0f, alone %5.0f: %4.1f x; scoring %6.0f tokens/s, perplexity %6.0f: %3.0f %%",
                            variant.getKey(),
                            together,
                            alone,
                            together / alone,
                            scoring,
                            perplexity,
                            100 * scoring / perplexity);
                }
            }
        }
    }

    private static void lowRankByHessian(int in, int out) throws IOException {
        int tokens = 2048;
        print("an error of %d by %d in the metric of its input's hessian, rank 32", in, out);
        try (NDManager manager = TensorEngine.newManager();
                ActivationStatistics.Collector collector = new ActivationStatistics.Collector(
                        WantedStatistics.ofEvery(EnumSet.of(Statistic.HESSIAN)), 1)) {
            NDArray weight = gaussian(manager, out, in);
            NDArray error = weight.sub(mxint(4, 1, 16).fakeQuantize(weight, Operand.WEIGHT))
                    .transpose(1, 0);
            weight.close();
            NDArray input = gaussian(manager, tokens, in).reshape(1, tokens, in);
            double gathering = median(3, () -> collector.observe(0, HookPoint.MLP_IN, input), () -> {})[0];
            LinearSpec linear = new LinearSpec(0, "m", "m", HookPoint.MLP_IN, out, in, false);
            NDArray square = collector.finished().matrix(manager, linear, Statistic.HESSIAN);
            NDArray scale = manager.ones(new Shape(in));
            LowRankSolver exact = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, false);
            LowRankSolver all = new LowRankSolver(LowRankSolver.Kind.EXACT, 0, 0, true);
            LowRankSolver randomized = new LowRankSolver(LowRankSolver.Kind.RANDOMIZED, 8, 16, false);
            double[] energy = new double[3];
            double[] seconds = median(
                    1,
                    () -> energy[0] = exact.solveSquared(error, square, 32, 1).capturedEnergy(),
                    () -> {},
                    () -> energy[1] = all.solveSquared(error, square, 32, 1).capturedEnergy(),
                    () -> {},
                    () -> energy[2] =
                            randomized.solveSquared(error, square, 32, 1).capturedEnergy(),
                    () -> {},
                    () -> exact.solve(error, scale, 32, 1),
                    () -> {},
                    () -> all.solve(error, scale, 32, 1),
                    () -> {});
            print("  hessian of %d tokens %.2f s", tokens, gathering);
            print(
                    "  exact %.2f s; with all singular values %.2f s, %.1f times as long, for %.6f of its energy;"
                            + " randomized %.2f s, %.4f",
                    seconds[0],
                    seconds[1],
                    seconds[1] / seconds[0],
                    energy[1] / energy[0],
                    seconds[2],
                    energy[2] / energy[0]);
            print(
                    "  in a diagonal metric: exact %.2f s; with all singular values %.2f s, %.1f times as long",
                    seconds[3], seconds[4], seconds[4] / seconds[3]);
        }
    }

    /** GPTQ of one weight beside what it is made of, and rotations beside the product that they go with. */
    private static void rounding() throws IOException {
        int width = 4096;
        print("a weight of %d by %d", width, width);
        try (NDManager manager = TensorEngine.newManager();
                ActivationStatistics.Collector collector = new ActivationStatistics.Collector(
                        WantedStatistics.ofEvery(EnumSet.of(Statistic.HESSIAN)), 1)) {
            NDArray weight = gaussian(manager, width, width);
            NDArray input = gaussian(manager, 2 * width, width).reshape(1, 2L * width, width);
            collector.observe(0, HookPoint.MLP_IN, input);
            input.close();
            LinearSpec linear = new LinearSpec(0, "m", "m", HookPoint.MLP_IN, width, width, false);
            NDArray hessian = collector.finished().matrix(manager, linear, Statistic.HESSIAN);
            NumberFormat format = new IntegerFormat(4, IntegerFormat.Granularity.GROUP, 64, true);
            double[] gptq = median(
                    1,
                    () -> GptqTimes.round(weight, hessian, format),
                    () -> {},
                    () -> hessian.matMul(hessian).close(),
                    () -> {});
            print(
                    "  gptq to 4-bit integers in groups of 64 %.2f s; a product of two such matrices %.2f s",
                    gptq[0], gptq[1]);
            NDArray tokens = gaussian(manager, 512, width);
            Hadamard hadamard = Hadamard.of(width).orElseThrow();
            double[] online = median(
                    9,
                    () -> hadamard.apply(tokens).close(),
                    () -> {},
                    () -> Torch.linear(tokens, weight).close(),
                    () -> {});
            print(
                    "  512 tokens turned by a Hadamard matrix %.1f ms, times the weight %.1f ms",
                    1e3 * online[0], 1e3 * online[1]);
        }
    }

    private static NumberFormat mxint(int bits, int rows, int columns) {
        return new BlockFloatFormat(bits, List.of(rows, columns), 8, 127);
    }

    private static NDArray gaussian(NDManager manager, int rows, int columns) {
        SplittableRandom random = new SplittableRandom(7);
        float[] values = new float[rows * columns];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return NativeFloats.of(manager, values, rows, columns);
    }

    /** Median seconds of each work, all in turn after two warm-up rounds; {@code works} are pairs of work and reset. */
    private static double[] median(int rounds, Work... works) throws IOException {
        int kinds = works.length / 2;
        double[][] seconds = new double[kinds][rounds];
        for (int round = rounds == 1 ? 0 : -2; round < rounds; round++) {
            for (int kind = 0; kind < kinds; kind++) {
                works[2 * kind + 1].run();
                long start = System.nanoTime();
                works[2 * kind].run();
                if (round >= 0) {
                    seconds[kind][round] = (System.nanoTime() - start) / 1e9;
                }
            }
        }
        return Arrays.stream(seconds)
                .mapToDouble(all -> {
                    Arrays.sort(all);
                    return all[all.length / 2];
                })
                .toArray();
    }

    private static void print(String format, Object... arguments) {
        System.out.println(String.format(Locale.ROOT, format, arguments));
    }
}
