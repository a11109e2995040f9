package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The number of threads and of processes decides how long a sweep takes and nothing else. The model is large enough for
 * the engine to split its products, decompositions and sums where it has more than one thread.
 */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ThreadsTest {
    private static final String CONFIG = """
            seed = 3
            [model]
            path = "DIR/wide"
            [calibration]
            dataset = "DIR/long.txt"
            num_samples = 7
            seq_len = 128
            batch_size = 3
            [[approximation]]
            method = "omniquant"
            epochs = 1
            [[approximation]]
            method = "qera_exact"
            rank = 8
            [quantization.weight]
            format = "int"
            bits = 3
            granularity = "channel"
            symmetric = false
            [quantization.activation]
            format = "mxint"
            bits = 8
            [evaluation]
            baselines = ["full_precision"]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/long.txt"
            seq_len = 96
            max_samples = 13
            batch_size = 13
            divergence = true
            """;

    /** They say when and for how long, beside what was made. */
    private static final Set<String> TIMED = Set.of("log.txt", "manifest.json", "results.json", "sweep.json");

    /** In {@code approximate/layers.csv}, times are in columns of this name's kind. */
    private static final String SECONDS = "seconds";

    @TempDir
    static Path folder;

    @BeforeAll
    static void sweepOnOneThread() throws Exception {
        new TinyExperiment(folder).config(CONFIG);
        SyntheticModel.llama()
                .sizes(160, 416)
                .vocabulary(259)
                .positions(128)
                .heads(4, 2)
                .tokenizer()
                .write(folder.resolve("wide"));
        StringBuilder text = new StringBuilder();
        SplittableRandom random = new SplittableRandom(5);
        for (int word = 0; word < 600; word++) {
            text.append(Integer.toString(random.nextInt(1 << 20), 36)).append(' ');
        }
        Files.writeString(folder.resolve("long.txt"), text);
        Files.writeString(folder.resolve("s.toml"), "axes.'approximation.1.method' = [\"l2qer\", \"qera_exact\"]");
        sweep("one", 1, 1);
    }

    private static void sweep(String results, int threads, int jobs) throws Exception {
        Path log = folder.resolve(results + ".log");
        ProcessBuilder builder = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-XX:ActiveProcessorCount=" + threads,
                        "-Dlogback.configurationFile=logback.xml",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Ptq.class.getName(),
                        "sweep",
                        folder.resolve("s.toml").toString(),
                        folder.resolve("config.toml").toString(),
                        "tag",
                        "--jobs",
                        Integer.toString(jobs),
                        "--results",
                        folder.resolve(results).toString())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile());
        builder.environment().put("PTQ_THREADS", Integer.toString(threads));
        assertThat(builder.start().waitFor()).as(Files.readString(log)).isZero();
        Path point = folder.resolve(results).resolve("tag/method-l2qer/manifest.json");
        assertThat(Files.readString(point)).contains("\"threads\" : " + threads / jobs);
    }

    /** What a sweep left, without times. */
    private static List<String> files(String results) throws IOException {
        Path root = folder.resolve(results).resolve("tag");
        try (Stream<Path> all = Files.walk(root)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> !TIMED.contains(file.getFileName().toString()))
                    .map(file -> root.relativize(file).toString())
                    .sorted()
                    .toList();
        }
    }

    private static void assertSame(String results) throws IOException {
        List<String> files = files("one");
        assertThat(files)
                .contains(
                        "method-qera_exact/calibrate/statistics.safetensors",
                        "method-qera_exact/approximate/low_rank.safetensors",
                        "method-qera_exact/approximate/singular_values.safetensors",
                        "method-qera_exact/approximate/parameters/block-1.safetensors",
                        "method-qera_exact/approximate/weights/block-1.safetensors",
                        "method-l2qer/evaluate/quantized/tales/divergences.csv",
                        "method-l2qer/metrics.json");
        assertThat(files(results)).isEqualTo(files);
        for (String file : files) {
            Path one = folder.resolve("one/tag").resolve(file);
            Path other = folder.resolve(results).resolve("tag").resolve(file);
            if (file.endsWith("approximate/layers.csv")) {
                assertThat(withoutTimes(other)).as(file).isEqualTo(withoutTimes(one));
            } else {
                assertThat(other).hasSameBinaryContentAs(one);
            }
        }
    }

    private static List<List<String>> withoutTimes(Path csv) throws IOException {
        List<String> lines = Files.readAllLines(csv);
        List<String> header = List.of(lines.get(0).split(",", -1));
        assertThat(header).anyMatch(column -> column.contains(SECONDS));
        List<List<String>> rows = new ArrayList<>();
        for (String line : lines) {
            List<String> cells = new ArrayList<>(List.of(line.split(",", -1)));
            assertThat(cells).hasSameSizeAs(header);
            for (int i = header.size() - 1; i >= 0; i--) {
                if (header.get(i).contains(SECONDS)) {
                    cells.remove(i);
                }
            }
            rows.add(cells);
        }
        return rows;
    }

    @Test
    @Tag("slow")
    void fourThreadsMakeTheSameBytes() throws Exception {
        sweep("four", 4, 1);
        assertSame("four");
    }

    /** With two threads each. */
    @Test
    void twoProcessesMakeTheSameBytes() throws Exception {
        sweep("jobs", 4, 2);
        assertSame("jobs");
    }
}
