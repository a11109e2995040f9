package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Sweeps in processes of their own that are started at once over one results folder. */
@Timeout(value = 300, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TwoSweepsTest {
    private static final List<String> POINTS = List.of("rank-2", "rank-4");

    private static final Map<String, Long> ONCE = Map.of(
            "calibrate", 1L,
            "approximate", 2L,
            "quantize", 2L,
            "cost", 2L,
            "evaluate/full_precision/tales", 1L,
            "evaluate/round_to_nearest/tales", 1L,
            "evaluate/quantized/tales", 2L);

    /** A stage that is executed says so; one that is there already says that it is reused. */
    private static final Pattern EXECUTED = Pattern.compile("(?m)^.*?rank-\\d: (?<stage>[a-z_/]+): started$");

    @TempDir
    static Path folder;

    @BeforeAll
    static void runOneAlone() throws Exception {
        new TinyExperiment(folder).config(TinyExperiment.CONFIG);
        Files.writeString(folder.resolve("s.toml"), "axes.'approximation.l2qer.rank' = [2, 4]");
        assertThat(start("lone", "alone", "alone").waitFor()).as(said("alone")).isZero();
        assertThat(executions("alone")).isEqualTo(ONCE);
    }

    private static Process start(String results, String tag, String log) throws IOException {
        return new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-Dlogback.configurationFile=logback.xml",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Ptq.class.getName(),
                        "sweep",
                        folder.resolve("s.toml").toString(),
                        folder.resolve("config.toml").toString(),
                        tag,
                        "--results",
                        folder.resolve(results).toString())
                .redirectOutput(folder.resolve(log + ".out").toFile())
                .redirectError(folder.resolve(log + ".err").toFile())
                .start();
    }

    private static String said(String log) throws IOException {
        return Files.readString(folder.resolve(log + ".err"));
    }

    /** How often each stage was executed, as the processes say. */
    private static Map<String, Long> executions(String... logs) throws IOException {
        List<String> stages = new ArrayList<>();
        for (String log : logs) {
            for (Matcher executed = EXECUTED.matcher(said(log)); executed.find(); ) {
                stages.add(executed.group("stage"));
            }
        }
        return stages.stream().collect(Collectors.groupingBy(Function.identity(), TreeMap::new, Collectors.counting()));
    }

    /** Starts both, and compares what they leave with what one leaves that is alone. */
    private static void runTwo(String results, String first, String second) throws Exception {
        List<Process> both = List.of(start(results, first, "one"), start(results, second, "two"));
        try {
            for (Process each : both) {
                int code = each.waitFor();
                assertThat(code).as(said("one") + said("two")).isZero();
            }
        } finally {
            both.forEach(Process::destroy);
        }
        for (String point : POINTS) {
            for (String tag : List.of(first, second)) {
                for (String file : List.of("metrics.json", "resolved.toml", "quantize/layers.csv")) {
                    assertThat(folder.resolve(results)
                                    .resolve(tag)
                                    .resolve(point)
                                    .resolve(file))
                            .hasSameBinaryContentAs(
                                    folder.resolve("lone/alone").resolve(point).resolve(file));
                }
            }
        }
        try (Stream<Path> left = Files.walk(folder.resolve(results))) {
            assertThat(left.map(path -> path.getFileName().toString()))
                    .noneMatch(name -> name.contains(".partial") || name.contains(".unfinished"));
        }
    }

    private static JsonNode json(String file) throws IOException {
        return JsonMapper.shared().readTree(Files.readString(folder.resolve(file)));
    }

    @Test
    void twoTagsShareEveryStage() throws Exception {
        runTwo("shared", "one", "two");

        assertThat(executions("one", "two")).isEqualTo(ONCE);
        Map<String, Integer> made = new TreeMap<>();
        for (String tag : List.of("one", "two")) {
            for (String point : POINTS) {
                json("shared/" + tag + "/" + point + "/manifest.json")
                        .get("stages")
                        .forEach(stage -> made.merge(
                                stage.get("fingerprint").asString(),
                                stage.get("reused").asBoolean() ? 0 : 1,
                                Integer::sum));
            }
        }
        assertThat(made)
                .hasSize(ONCE.values().stream().mapToInt(Long::intValue).sum())
                .allSatisfy((fingerprint, times) -> assertThat(times).isEqualTo(1));
    }

    /** Who comes second to a point waits for it, and finds it complete, as {@code TwoProcessesTest} shows in small. */
    @Test
    @Tag("slow")
    void oneTagIsMadeOnce() throws Exception {
        runTwo("same", "tag", "tag");

        assertThat(executions("one", "two")).isEqualTo(ONCE);
        assertThat(json("same/tag/sweep.json").get("points").valueStream())
                .hasSize(2)
                .allMatch(point -> point.get("state").asString().equals("done"));
        for (String log : List.of("one", "two")) {
            assertThat(Files.readAllLines(folder.resolve(log + ".out")))
                    .hasSize(4)
                    .noneMatch(line -> line.contains("failed"));
        }
    }
}
