package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ExplanationTest {
    private static final Provenance PROVENANCE = new Provenance("1", "abc", 1, Map.of());

    @TempDir
    Path results;

    private record Model(String sha256) {}

    private record Settings(Model model, int numSamples, int seqLen) {}

    private record Configured(String name, int version, Settings settings, List<String> inputs) implements Stage {
        @Override
        public void run(Map<String, Path> inputDirectories, Path output, Path unfinished) throws IOException {
            Files.writeString(output.resolve("out.txt"), name);
        }

        Configured with(Settings newSettings) {
            return new Configured(name, version, newSettings, inputs);
        }

        Configured withVersion(int newVersion) {
            return new Configured(name, newVersion, settings, inputs);
        }

        Configured withInputs(String... newInputs) {
            return new Configured(name, version, settings, List.of(newInputs));
        }
    }

    private static final Settings SETTINGS = new Settings(new Model("a".repeat(64)), 32, 128);
    private static final Configured CALIBRATE = new Configured("calibrate", 1, SETTINGS, List.of());
    private static final Configured QUANTIZE = new Configured("quantize", 1, SETTINGS, List.of("calibrate"));

    @BeforeEach
    void makeARun() throws IOException {
        make("first", CALIBRATE, QUANTIZE);
    }

    private void make(String tag, Stage... stages) throws IOException {
        new Runs(results)
                .run(tag, new Plan(List.of(stages)), Optional.empty(), PROVENANCE, (directory, manifest) -> {});
    }

    /** Fingerprints as the stages they belong to. */
    private String explain(Stage... stages) throws IOException {
        return Explanation.of(results, new Plan(List.of(stages))).stream()
                .map(explanation -> explanation.line(key -> key.equals("model.sha256") ? "its files changed" : ""))
                .map(line -> line.replaceAll("made [-0-9T:.]+Z in [0-9.]+ s", "made TIME"))
                .map(line -> line.replaceAll("-[0-9a-f]{16}", "-…"))
                .collect(Collectors.joining("\n"));
    }

    @Test
    void tellsWhatIsCached() throws IOException {
        assertThat(explain(CALIBRATE, QUANTIZE)).isEqualTo("""
                calibrate: cached, made TIME
                quantize: cached, made TIME""");
        assertThat(Explanation.of(results, new Plan(List.of(CALIBRATE))).get(0).line(key -> ""))
                .matches("calibrate: cached, made [-0-9]{10}T[:0-9.]+Z in \\d+\\.\\d s");
    }

    @Test
    void namesTheSettingThatDiffers() throws IOException {
        assertThat(explain(CALIBRATE.with(new Settings(SETTINGS.model(), 32, 256)), QUANTIZE))
                .isEqualTo("""
                calibrate: not made; nearest entry calibrate-…: seq_len 256, was 128
                quantize: not made; nearest entry quantize-…: input calibrate differs (see above)""");
    }

    @Test
    void namesTheModelThatDiffers() throws IOException {
        Settings changed = new Settings(new Model("b".repeat(64)), 32, 128);

        assertThat(explain(CALIBRATE.with(changed), QUANTIZE.with(changed))).isEqualTo("""
                calibrate: not made; nearest entry calibrate-…: model.sha256 bbbbbbbbbbbb…, was aaaaaaaaaaaa… (its files\
                 changed)
                quantize: not made; nearest entry quantize-…: model.sha256 bbbbbbbbbbbb…, was aaaaaaaaaaaa… (its files\
                 changed); input calibrate differs (see above)""");
    }

    @Test
    void namesTheVersionThatDiffers() throws IOException {
        assertThat(explain(CALIBRATE, QUANTIZE.withVersion(2))).isEqualTo("""
                calibrate: cached, made TIME
                quantize: not made; nearest entry quantize-…: version 2, was 1""");
    }

    @Test
    void namesInputsThatCameOrWent() throws IOException {
        Configured extra = new Configured("extra", 1, SETTINGS, List.of());

        assertThat(explain(CALIBRATE, extra, QUANTIZE.withInputs("extra"))).isEqualTo("""
                calibrate: cached, made TIME
                extra: not made; no entry of this stage
                quantize: not made; nearest entry quantize-…: input extra is new; input calibrate is none any more""");
    }

    @Test
    void comparesWithTheEntryOfFewestDifferencesTheYoungestOfSuch() throws IOException {
        make("second", CALIBRATE.with(new Settings(SETTINGS.model(), 8, 256)));
        make("third", CALIBRATE.with(new Settings(SETTINGS.model(), 64, 512)));

        assertThat(explain(CALIBRATE.with(new Settings(SETTINGS.model(), 9, 256))))
                .endsWith(": num_samples 9, was 8");
        assertThat(explain(CALIBRATE.with(new Settings(SETTINGS.model(), 32, 512))))
                .endsWith(": num_samples 32, was 64");
        assertThat(explain(CALIBRATE.with(new Settings(SETTINGS.model(), 65, 513))))
                .endsWith(": num_samples 65, was 64; seq_len 513, was 512");
    }

    @Test
    void explainsAnInputThatIsCachedBesideTheOneUsed() throws IOException {
        Configured other = CALIBRATE.with(new Settings(SETTINGS.model(), 8, 128));
        make("second", other);

        assertThat(explain(other, QUANTIZE)).isEqualTo("""
                calibrate: cached, made TIME
                quantize: not made; nearest entry quantize-…: input calibrate differs (num_samples 8, was 32)""");

        Trees.delete(results.resolve(
                ".cache/" + StageCache.entryName("calibrate", new Plan(List.of(CALIBRATE)).fingerprint("calibrate"))));
        assertThat(explain(other, QUANTIZE)).endsWith("""
                input calibrate differs, the one it used is not in the cache""");
    }

    @Test
    void explainsInputsOfInputs() throws IOException {
        Configured evaluate = new Configured("evaluate", 1, SETTINGS, List.of("quantize"));
        make("second", CALIBRATE, QUANTIZE, evaluate);
        Configured other = CALIBRATE.with(new Settings(SETTINGS.model(), 8, 128));
        make("third", other, QUANTIZE);

        assertThat(explain(other, QUANTIZE, evaluate)).isEqualTo("""
                calibrate: cached, made TIME
                quantize: cached, made TIME
                evaluate: not made; nearest entry evaluate-…: input quantize differs (in its own inputs)""");
    }

    @Test
    void passesOverEntriesThatCannotBeRead() throws IOException {
        for (CacheEntry entry : CacheInventory.of(results)) {
            Files.writeString(results.resolve(".cache").resolve(entry.name()).resolve("done.json"), "{");
        }

        assertThat(explain(CALIBRATE, QUANTIZE)).isEqualTo("""
                calibrate: not made; no entry of this stage
                quantize: not made; no entry of this stage""");
    }

    @Test
    void tellsOfUnfinishedWorkAndWritesNothing() throws IOException {
        Path empty = results.resolve("empty");
        assertThat(Explanation.of(empty, new Plan(List.of(CALIBRATE))).get(0).line(key -> ""))
                .isEqualTo("calibrate: not made; no entry of this stage");
        assertThat(empty).doesNotExist();

        Configured other = CALIBRATE.with(new Settings(SETTINGS.model(), 8, 128));
        String name = StageCache.entryName("calibrate", new Plan(List.of(other)).fingerprint("calibrate"));
        Files.createDirectory(results.resolve(".cache").resolve(name + ".unfinished"));
        assertThat(explain(other))
                .isEqualTo("calibrate: begun, will go on from there; nearest entry calibrate-…: num_samples 8, was 32");
    }

    /** What is explained is what happens. */
    @Test
    void aStageOfAnotherVersionIsMadeAgainWithItsDependents() throws IOException {
        TestStage first = TestStage.of("first");
        TestStage second = TestStage.of("second", "first");
        TestStage alone = TestStage.of("alone");
        make("a", first, second, alone);
        Plan bumped = new Plan(List.of(first.withVersion(2), second, alone));

        assertThat(explain(first.withVersion(2), second, alone)).isEqualTo("""
                first: not made; nearest entry first-…: version 2, was 1
                second: not made; nearest entry second-…: input first differs (see above)
                alone: cached, made TIME""");
        Run run = new Runs(results).run("b", bumped, Optional.empty(), PROVENANCE, (directory, manifest) -> {});

        assertThat(run.manifest().stages().entrySet().stream()
                        .filter(stage -> !stage.getValue().reused())
                        .map(Map.Entry::getKey))
                .containsExactly("first", "second");
    }
}
