package dev.ptq.bench;

import dev.ptq.calibrate.ActivationStatistics;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockSamples;
import dev.ptq.method.Method;
import dev.ptq.method.Methods;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.QuantizationSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.SplittableRandom;

/** Where the time of block-wise training goes, in a model's first block on random tokens. */
final class TrainingSteps {
    private static final String FORMATS = """
            [weight]
            format = "int"
            bits = 4
            symmetric = false
            [activation]
            format = "int"
            bits = 4
            include_zero = false
            [attention]
            query = { format = "int", bits = 4, include_zero = false }
            key = { format = "int", bits = 4, include_zero = false }
            value = { format = "int", bits = 4, include_zero = false }
            """;

    private TrainingSteps() {}

    /** Prints a row for each method: seconds per block and the shares of its parts. */
    static void measure(String name, Path folder, int samples, int tokens, List<String> steps) throws IOException {
        System.out.printf(
                Locale.ROOT,
                "%n%s, %d samples of %d tokens, W4A4%n%-64s %6s %9s %9s %8s %8s %9s %9s %6s %6s%n",
                name,
                samples,
                tokens,
                "step",
                "steps",
                "s/block",
                "ms/step",
                "rounding",
                "forward",
                "backward",
                "optimizer",
                "evaluations",
                "rest");
        for (String step : steps) {
            BlockContext.BlockReport report = train(folder, samples, tokens, step);
            BlockContext.TrainingSeconds times = report.times();
            double whole = report.seconds();
            System.out.printf(
                    Locale.ROOT,
                    "%-64s %6d %9.2f %9.2f %7.0f%% %7.0f%% %8.0f%% %8.0f%% %5.0f%% %5.0f%%%n",
                    step.replace('\n', ' '),
                    report.steps(),
                    whole,
                    1000 * (whole - times.evaluations()) / report.steps(),
                    100 * times.rounding() / whole,
                    100 * times.forward() / whole,
                    100 * times.backward() / whole,
                    100 * times.optimizer() / whole,
                    100 * times.evaluations() / whole,
                    100 * (whole - times.all()) / whole);
        }
    }

    private static BlockContext.BlockReport train(Path folder, int samples, int tokens, String step)
            throws IOException {
        String grid = step.contains("autoround") ? "[weight]\ngrid = \"full_range\"" : "[weight]";
        ConfigTable formats = ConfigTable.parse(
                FORMATS.replace("[weight]", grid), "benchmark", List.of(), QuantizationSettings.SECTION);
        QuantizationSettings quantization = QuantizationSettings.read(formats);
        Method method = Methods.read(ConfigTable.parse(step, "benchmark", List.of(), Methods.SECTION));
        SplittableRandom random = new SplittableRandom(1);
        try (LanguageModel model = LanguageModel.open(folder);
                Block block = model.load(0);
                BlockSamples states = new BlockSamples(model, tokens(random, samples, tokens, model), 4)) {
            states.enter(block);
            WantedStatistics wanted = WantedStatistics.ofEvery(method.needs().statistics());
            ActivationStatistics statistics = states.statistics(block, wanted);
            BlockContext context = new BlockContext(
                    new BlockContext.Setting(model.config(), quantization, wanted),
                    block,
                    statistics,
                    Optional.of(states),
                    1);
            method.apply(context);
            return context.blockReports().get(0);
        }
    }

    private static int[][] tokens(SplittableRandom random, int samples, int tokens, LanguageModel model) {
        int[][] chunks = new int[samples][tokens];
        for (int[] chunk : chunks) {
            for (int i = 0; i < tokens; i++) {
                chunk[i] = random.nextInt(model.config().vocabulary().size());
            }
        }
        return chunks;
    }
}
