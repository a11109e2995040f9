package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A run in a process of its own that is killed again and again. */
class KillTest {
    private static final String CONFIG = """
            seed = 3
            [model]
            path = "DIR/llama"
            [calibration]
            dataset = "europarl"
            num_samples = 8
            seq_len = 128
            batch_size = 2
            [[approximation]]
            method = "omniquant"
            lwc = false
            epochs = 1
            batch_size = 4
            [[approximation]]
            method = "l2qer"
            rank = 8
            [quantization.weight]
            format = "mxint"
            bits = 3
            [quantization.activation]
            format = "mxint"
            bits = 8
            [[evaluation.perplexity]]
            dataset = "europarl"
            seq_len = 128
            max_samples = 24
            [[evaluation.perplexity]]
            dataset = "wordnet"
            seq_len = 128
            max_samples = 24
            divergence = true
            """ + TinyExperiment.TASKS;

    /** As long as two kills need to fall into different stages. */
    private static final String SHORT =
            CONFIG.replace("num_samples = 8", "num_samples = 4").replace("max_samples = 24", "max_samples = 6");

    /** Parts of blocks that steps leave behind one another: a split, its rounding, a path. */
    private static final String LOW_RANK = """
            [[approximation]]
            method = "svdquant"
            rank = 8
            alternate = 2
            pattern = ".*mlp.*"
            [[approximation]]
            method = "srr"
            rank = 8
            alternate = 2
            shared_factor = true
            inputs = "quantized"
            pattern = ".*attn.*"
            """;

    /** Most of the time goes into learning the rotation. */
    private static final String ROTATED = """
            [[approximation]]
            method = "spinquant"
            steps = 24
            batch_size = 4
            [[approximation]]
            method = "gptq"
            """;

    private static final List<String> FILES = List.of(
            "approximate/low_rank.safetensors",
            "approximate/singular_values.safetensors",
            "approximate/weights/block-0.safetensors",
            "approximate/weights/block-3.safetensors",
            "approximate/parameters/block-2.safetensors",
            "evaluate/quantized/tasks/arc_easy/samples_arc_easy.jsonl",
            "evaluate/quantized/tasks/copa/samples_copa.jsonl");

    @TempDir
    private Path folder;

    private Process start(Path config, String results) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Ptq.class.getName(),
                        "run",
                        config.toString(),
                        "run",
                        "--results",
                        folder.resolve(results).toString())
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(folder.resolve(results + ".log").toFile());
        builder.environment().put("PTQ_CHECKPOINT_SECONDS", "0");
        return builder.start();
    }

    @Test
    @Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void endsWithTheMetricsOfAnUndisturbedRun() throws Exception {
        kill(2, 0.3, 0.6, SHORT, FILES);
    }

    @Test
    @Tag("slow")
    @Timeout(value = 1200, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void soItDoesAfterManyMoreKills() throws Exception {
        kill(50, CONFIG, FILES);
    }

    @Test
    @Tag("slow")
    @Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void soItDoesWithLowRankPartsInOtherOrders() throws Exception {
        int steps = CONFIG.indexOf("[[approximation]]");
        String config =
                CONFIG.substring(0, steps) + LOW_RANK + CONFIG.substring(CONFIG.indexOf("[quantization.weight]"));
        kill(
                8,
                config,
                List.of(
                        "approximate/low_rank.safetensors",
                        "approximate/weights/block-0.safetensors",
                        "approximate/weights/block-3.safetensors"));
    }

    /** Matrices that are learned step by step through the whole model. */
    @Test
    @Tag("slow")
    @Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void soItDoesWithALearnedRotation() throws Exception {
        int steps = CONFIG.indexOf("[[approximation]]");
        String config =
                CONFIG.substring(0, steps) + ROTATED + CONFIG.substring(CONFIG.indexOf("[quantization.weight]"));
        kill(
                8,
                config,
                List.of(
                        "rotate/rotations.safetensors",
                        "rotate/training.csv",
                        "approximate/weights/block-0.safetensors",
                        "approximate/weights/block-3.safetensors",
                        "ledger.csv"));
    }

    private void kill(int times, String toml, List<String> files) throws Exception {
        kill(times, 1 / 8.0, 1 / 3.0, toml, files);
    }

    /** Kills after a time between two shares of that of a whole run. */
    private void kill(int times, double least, double most, String toml, List<String> files) throws Exception {
        SyntheticModel.llama()
                .sizes(128, 256)
                .layers(4)
                .vocabulary(259)
                .positions(128)
                .heads(4, 2)
                .tokenizer()
                .write(folder.resolve("llama"));
        Path config = Files.writeString(folder.resolve("config.toml"), toml.replace("DIR", folder.toString()));
        TinyExperiment.writeTasks(folder);
        long began = System.nanoTime();
        assertThat(start(config, "straight").waitFor()).isZero();
        long whole = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);

        SplittableRandom random = new SplittableRandom(times);
        int finished = 0;
        for (int kills = 0; kills < times; ) {
            Process process = start(config, "killed-" + finished);
            if (process.waitFor((long) (whole * random.nextDouble(least, most)), TimeUnit.MILLISECONDS)) {
                check(process, finished, files);
                finished++;
            } else {
                process.destroyForcibly().waitFor();
                kills++;
            }
        }
        Process last = start(config, "killed-" + finished);
        last.waitFor();
        check(last, finished, files);
    }

    /** A run that was never given all of the time it takes ends as the one that was left alone. */
    private void check(Process process, int number, List<String> files) throws IOException {
        Path results = folder.resolve("killed-" + number);
        assertThat(process.exitValue()).as(() -> log(number)).isZero();
        assertThat(results.resolve("run/metrics.json"))
                .hasSameBinaryContentAs(folder.resolve("straight/run/metrics.json"));
        for (String file : files) {
            assertThat(results.resolve("run").resolve(file))
                    .hasSameBinaryContentAs(folder.resolve("straight/run").resolve(file));
        }
        try (Stream<Path> left = Files.walk(results)) {
            assertThat(left.map(path -> path.getFileName().toString()))
                    .noneMatch(name -> name.contains(".partial") || name.contains(".unfinished"));
        }
    }

    private String log(int number) {
        try {
            return Files.readString(folder.resolve("killed-" + number + ".log"));
        } catch (IOException e) {
            return e.toString();
        }
    }
}
