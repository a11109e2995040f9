package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.hub.FakeHub;
import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.json.JsonMapper;

/** Commands whose model and data sets are on the hub, which is a server on this machine. */
class OnlineTest {
    private static final String CONFIG = TinyExperiment.CONFIG
            .replace("DIR/llama", "owner/tiny")
            .replace(
                    "dataset = \"DIR/text.txt\"",
                    "dataset = \"owner/tales\"\nconfig = \"short\"\nsplit = \"test\"\nfield = \"tale\"");

    @TempDir
    Path folder;

    private final Map<String, String> before = new HashMap<>();
    private TinyExperiment tiny;
    private FakeHub server;
    private String commit;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
        Path model = folder.resolve("llama");
        Files.writeString(model.resolve("pytorch_model.bin"), "a pickle");
        server = new FakeHub();
        commit = server.commit("models/owner/tiny", model);
        Map<String, byte[]> tales = new HashMap<>();
        String row = "{\"tale\": "
                + JsonMapper.shared().writeValueAsString(Files.readString(folder.resolve("text.txt"))) + "}\n";
        tales.put("short/test-00000-of-00002.jsonl", row.getBytes(StandardCharsets.UTF_8));
        tales.put("short/test-00001-of-00002.jsonl", row.getBytes(StandardCharsets.UTF_8));
        tales.put("short/train.jsonl", row.getBytes(StandardCharsets.UTF_8));
        tales.put("README.md", "---\nlicense: mit\n---\n".getBytes(StandardCharsets.UTF_8));
        server.commit("datasets/owner/tales", tales);
        property("HF_ENDPOINT", server.endpoint());
        property("HF_HOME", folder.resolve("hf").toString());
        property("HF_TOKEN", "hf_secret");
    }

    private void property(String name, String value) {
        before.put(name, System.setProperty(name, value));
    }

    @AfterEach
    void restore() {
        server.close();
        before.forEach((name, value) -> {
            if (value == null) {
                System.clearProperty(name);
            } else {
                System.setProperty(name, value);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"run DIR/config.toml tag", "validate DIR/config.toml", "cache explain DIR/config.toml"})
    void withoutAskingNothingIsFetched(String command) throws IOException {
        tiny.config(CONFIG);
        Outcome outcome = tiny.execute((command + " --results DIR/results").split(" "));

        assertThat(outcome.code()).isEqualTo(2);
        String hub = " is not in DIR/hf/hub; to fetch it there from " + server.endpoint();
        assertThat(outcome.err())
                .contains("DIR/config.toml:3:1: model.path: there is no folder \"owner/tiny\" (a path in a file starts"
                        + " at its folder, others at the current directory), and the model of the hub" + hub
                        + "/owner/tiny, run `ptq fetch owner/tiny`, or the"
                        + " same command with --online\n")
                .contains("calibration.dataset: there is no folder \"owner/tales\" (a path in a file starts at its"
                        + " folder, others at the current directory), and the data set of the hub" + hub
                        + "/datasets/owner/tales, run `ptq fetch owner/tales --dataset --config short --split"
                        + " test`, or the same command with --online\n");
        assertThat(tiny.execute("sample", "--prompt", "a", "--model", "owner/tiny")
                        .err())
                .startsWith("--model: there is no folder");
        assertThat(server.requests).isEmpty();
        assertThat(folder.resolve("hf")).doesNotExist();
    }

    @Test
    void runsWithWhatItFetches() throws IOException {
        Outcome outcome = tiny.run(CONFIG, "first", "--online");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        assertThat(tiny.metrics("first")).containsKey("perplexity/tales");
        assertThat(server.requests)
                .noneMatch(request -> request.contains("pytorch_model.bin"))
                .noneMatch(request -> request.contains("train.jsonl"));
        var sources = tiny.json("first/manifest.json").at("/program/sources");
        assertThat(sources.at("/model/commit").asString()).isEqualTo(commit);
        assertThat(sources.path("texts")
                        .path("owner/tales/short/test")
                        .path("commit")
                        .asString())
                .hasSize(40);
        assertThat(Files.readString(tiny.result("first/manifest.json"))).doesNotContain("hf_secret");
        assertThat(Files.readString(tiny.result("first/log.txt"))).doesNotContain("hf_secret");
        server.requests.clear();

        // now it is there: also with --online nothing is asked, and nothing changes under a later run
        server.commit("models/owner/tiny", Map.of());
        for (String[] options : new String[][] {{}, {"--online"}}) {
            assertThat(tiny.run(CONFIG, "later-" + options.length, options).code())
                    .isZero();
        }
        assertThat(tiny.execute("verify", "first", "--results", "DIR/results", "--online")
                        .code())
                .isZero();
        assertThat(server.requests).isEmpty();
        assertThat(tiny.stages("later-0", "fingerprint")).isEqualTo(tiny.stages("first", "fingerprint"));
    }

    @Test
    void theSameFilesInAFolderAreTheSameExperiment() throws IOException {
        tiny.run(CONFIG, "hub", "--online");
        Outcome local = tiny.run(
                CONFIG,
                "local",
                "--set",
                "model.path=" + folder.resolve("llama"),
                "--set",
                "calibration.dataset="
                        + folder.resolve("hf/hub/datasets--owner--tales/snapshots")
                                .toFile()
                                .listFiles()[0]);

        assertThat(local.err()).isEmpty();
        assertThat(tiny.stages("local", "fingerprint")).isEqualTo(tiny.stages("hub", "fingerprint"));
    }

    @Test
    void tasksAreFetchedToo() throws IOException {
        TinyExperiment.writeTasks(folder);
        Path own = folder.resolve("tasks/copa/validation.jsonl");
        String config = TinyExperiment.CONFIG + TinyExperiment.TASKS.replace("\"arc_easy\", ", "");
        String without = config.replace("data = \"DIR/tasks\"\n", "");
        String found = server.commit(
                "datasets/aps/super_glue",
                Map.of("copa/validation.jsonl", Files.readAllBytes(own), "copa/train.jsonl", new byte[0]));

        assertThat(tiny.run(without, "offline"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "DIR/config.toml:"
                                + (without.substring(0, without.indexOf("[evaluation.tasks]"))
                                                .lines()
                                                .count()
                                        + 1)
                                + ":1: evaluation.tasks.data: left out, and there is no folder \"aps/super_glue\" (a"
                                + " path in a file starts at its folder, others at the current directory), and the"
                                + " data set of the hub is not in DIR/hf/hub; to fetch it there"
                                + " from " + server.endpoint()
                                + "/datasets/aps/super_glue, run `ptq fetch aps/super_glue --dataset --config copa"
                                + " --split validation`, or the same command with --online\n"));
        assertThat(server.requests).isEmpty();

        Outcome outcome = tiny.run(without, "hub", "--online");
        assertThat(outcome.err()).isEmpty();
        assertThat(server.requests).noneMatch(request -> request.contains("train.jsonl"));
        assertThat(tiny.json("hub/manifest.json")
                        .at("/program/sources/tasks/copa/commit")
                        .asString())
                .isEqualTo(found);
        assertThat(tiny.run(config, "local").code()).isZero();
        assertThat(tiny.stages("local", "fingerprint")).isEqualTo(tiny.stages("hub", "fingerprint"));
        assertThat(tiny.metrics("local")).isEqualTo(tiny.metrics("hub")).containsKey("copa/acc");
    }

    @Test
    void fetchIsItselfTheAsking() throws IOException {
        String snapshot = "DIR/hf/hub/models--owner--tiny/snapshots/";
        assertThat(tiny.execute("fetch", "owner/tiny")).isEqualTo(new Outcome(0, snapshot + commit + "\n", ""));
        assertThat(tiny.execute("sample", "--prompt", "a", "--tokens", "1", "--model", "owner/tiny")
                        .code())
                .isZero();
        String next = server.commit("models/owner/tiny", folder.resolve("llama"));
        assertThat(tiny.execute("fetch", "owner/tiny")).isEqualTo(new Outcome(0, snapshot + next + "\n", ""));
        assertThat(tiny.execute("fetch", "owner/tiny@" + commit))
                .isEqualTo(new Outcome(0, snapshot + commit + "\n", ""));
        assertThat(server.asked("+GET")).isOne();

        assertThat(tiny.execute("fetch", "owner/tales", "--dataset", "--config", "short", "--split", "test")
                        .code())
                .isZero();
        assertThat(server.asked("GET /datasets/owner/tales/resolve/")).isEqualTo(3);
        assertThat(tiny.execute("fetch", "owner/tales", "--dataset", "--config", "long", "--split", "train"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "data set owner/tales: expected files called after the split \"train\" in [long/,"
                                + " long/data/, data/long/], ending in one of [.parquet, .jsonl, .json, .jsonl.gz,"
                                + " .json.gz, .txt]; found [short/test-00000-of-00002.jsonl,"
                                + " short/test-00001-of-00002.jsonl, short/train.jsonl]\n"));
    }

    @Test
    void fetchRefusesWhatIsWrong() {
        assertThat(tiny.execute("fetch", "tiny"))
                .isEqualTo(new Outcome(2, "", "NAME: expected owner/name or owner/name@revision, got \"tiny\"\n"));
        assertThat(tiny.execute("fetch", "owner/tiny", "--split", "test"))
                .isEqualTo(new Outcome(2, "", "--config and --split are for data sets; add --dataset\n"));
        assertThat(tiny.execute("fetch", "owner/tales", "--dataset"))
                .isEqualTo(new Outcome(
                        2, "", "--split: expected the part of the data set that is wanted, such as test\n"));
        assertThat(tiny.execute("fetch", "owner/none").err())
                .isEqualTo("model owner/none: has no revision \"main\" on " + server.endpoint() + "\n");
        server.commit("models/owner/old", Map.of("config.json", new byte[0], "pytorch_model.bin", new byte[9]));
        assertThat(tiny.execute("fetch", "owner/old"))
                .isEqualTo(new Outcome(
                        2,
                        "",
                        "model owner/old: has no tokenizer.json, no model.safetensors (weights in other"
                                + " forms, such as .bin, are not read); take another model, or a revision that has it:"
                                + " owner/old@REVISION\n"));
        assertThat(server.asked("pytorch")).isZero();
    }

    @Test
    void shardsAreThoseOfTheIndex() throws IOException {
        Path model = folder.resolve("llama");
        Files.move(model.resolve("model.safetensors"), model.resolve("weights-of-it.safetensors"));
        StringBuilder map = new StringBuilder();
        try (var file = Safetensors.open(model.resolve("weights-of-it.safetensors"))) {
            file.entries()
                    .keySet()
                    .forEach(name -> map.append(map.length() == 0 ? "" : ",")
                            .append('"')
                            .append(name)
                            .append("\":\"weights-of-it.safetensors\""));
        }
        Files.writeString(model.resolve("model.safetensors.index.json"), "{\"weight_map\":{" + map + "}}");
        Files.writeString(model.resolve("other.safetensors"), "of no use");
        server.commit("models/owner/shards", model);

        assertThat(tiny.execute("sample", "--prompt", "a", "--tokens", "1", "--model", "owner/shards", "--online")
                        .code())
                .isZero();
        assertThat(server.asked("/other.safetensors")).isZero();
        Files.writeString(
                model.resolve("model.safetensors.index.json"), "{\"weight_map\":{\"a\":\"absent.safetensors\"}}");
        server.commit("models/owner/liar", model);
        assertThat(tiny.execute("fetch", "owner/liar").err())
                .isEqualTo("model owner/liar: its model.safetensors.index.json names files that it does not have\n");
    }

    @Test
    void whatIsThereOnlyInPartIsNotTakenForAll() throws IOException {
        tiny.execute("fetch", "owner/tales", "--dataset", "--config", "short", "--split", "test");
        try (Stream<Path> files = Files.walk(folder.resolve("hf"))) {
            for (Path file : files.filter(path -> path.endsWith("test-00001-of-00002.jsonl"))
                    .toList()) {
                Files.delete(file);
            }
        }
        tiny.execute("fetch", "owner/tiny");
        tiny.config(CONFIG);

        assertThat(tiny.execute("validate", "DIR/config.toml").err()).contains("the data set of the hub is not in ");
        assertThat(tiny.execute("validate", "DIR/config.toml", "--online").code())
                .isZero();
        assertThat(tiny.execute("validate", "DIR/config.toml").code()).isZero();
    }

    @Test
    void whatAnotherProgramFetchedIsCompletedOnRequest() throws IOException {
        Path theirs = folder.resolve("hf/hub/datasets--owner--tales");
        Files.createDirectories(theirs.resolve("snapshots/" + "a".repeat(40) + "/short"));
        Files.createDirectories(theirs.resolve("refs"));
        Files.writeString(theirs.resolve("refs/main"), "a".repeat(40));
        Path first = theirs.resolve("snapshots/" + "a".repeat(40) + "/short/test-00000-of-00002.jsonl");
        Files.writeString(first, "{\"tale\": \"" + "a word ".repeat(99) + "\"}");
        tiny.execute("fetch", "owner/tiny");
        tiny.config(CONFIG);

        assertThat(tiny.execute("validate", "DIR/config.toml").err()).contains("the data set of the hub is not in ");
        assertThat(tiny.execute("validate", "DIR/config.toml", "--online").code())
                .isZero();
        Files.writeString(theirs.resolve("refs/main"), "a".repeat(40));
        Files.move(first, first.resolveSibling("test.jsonl"));
        server.requests.clear();
        assertThat(tiny.execute("validate", "DIR/config.toml").code()).isZero();
        assertThat(server.requests).isEmpty();
    }

    @Test
    void problemsOfTheConfigAreReportedAsEver() throws IOException {
        Outcome outcome =
                tiny.run(CONFIG.replace("\"short\"", "\"long\"").replace("bits = 3", "bits = 300"), "tag", "--online");
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.err()).startsWith("data set owner/tales: expected files called after the split");
        outcome = tiny.run(CONFIG.replace("bits = 3", "bits = 300").replace("path = ", "paht = "), "tag", "--online");
        assertThat(outcome.err())
                .contains("model.paht: unknown key", "bits: expected a whole number from 2 to 23, got 300");
    }

    /** The parent of a sweep fetches for all points, so that no two of them do. */
    @Test
    void aSweepFetchesForItsPoints() throws IOException {
        tiny.config(CONFIG);
        server.commit("models/owner/other", folder.resolve("llama"));
        Path sweep = Files.writeString(
                folder.resolve("sweep.toml"),
                "[axes]\n\"model.path\" = [\"owner/tiny\", \"owner/other\"]\n\"seed\" = [1, 2]\n");
        Outcome outcome = tiny.execute(
                "sweep",
                sweep.toString(),
                "DIR/config.toml",
                "sweep",
                "--results",
                "DIR/results",
                "--dry-run",
                "--online");

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out()).endsWith("4 points, 0 done\n");
        assertThat(server.asked("GET /api/")).isEqualTo(3);
        assertThat(server.asked("+GET")).isEqualTo(2);
    }

    @Test
    @Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void whatAKilledProcessFetchedIsNotFetchedAgain() throws Exception {
        byte[] weights = new byte[4 << 20];
        new SplittableRandom(4).nextBytes(weights);
        Map<String, byte[]> files = new HashMap<>(
                Map.of("config.json", new byte[] {1}, "tokenizer.json", new byte[] {2}, "model.safetensors", weights));
        server.commit("models/owner/big", files);
        server.fault("model.safetensors", new FakeHub.Fault.Stall(3 << 20));
        ProcessBuilder builder = new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                Ptq.class.getName(),
                "fetch",
                "owner/big");
        builder.environment()
                .putAll(Map.of(
                        "HF_ENDPOINT",
                        server.endpoint(),
                        "HF_HOME",
                        folder.resolve("hf").toString()));
        Process process = builder.redirectErrorStream(true)
                .redirectOutput(folder.resolve("log").toFile())
                .start();
        Path partial = folder.resolve("hf/hub/models--owner--big/blobs/" + FakeHub.sha256(weights) + ".ptq.incomplete");
        while (process.isAlive() && (!Files.exists(partial) || Files.size(partial) < 2 << 20)) {
            Thread.sleep(10);
        }
        process.destroyForcibly().waitFor();
        assertThat(Files.size(partial)).as(() -> log()).isBetween(2L << 20, 3L << 20);
        long there = Files.size(partial);

        assertThat(tiny.execute("fetch", "owner/big").code()).isZero();
        assertThat(server.requests)
                .anyMatch(request -> request.startsWith("+GET") && request.endsWith("bytes=" + there + "-"));
        assertThat(folder.resolve("hf/hub/models--owner--big/snapshots")).satisfies(snapshots -> {
            try (Stream<Path> found = Files.walk(snapshots)) {
                assertThat(found.filter(path -> path.endsWith("model.safetensors")))
                        .singleElement()
                        .satisfies(path -> assertThat(path).hasBinaryContent(weights));
            }
        });
    }

    private String log() {
        try {
            return Files.readString(folder.resolve("log"));
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Test
    void theListNamesTheHub() {
        for (String what : List.of("models", "datasets")) {
            assertThat(tiny.execute("list", what).out()).contains("OWNER/NAME");
        }
    }
}
