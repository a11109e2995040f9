package dev.ptq.run;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.net.URI;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunsTest {
    private static final Provenance PROVENANCE = new Provenance(
            "1.2.3", "abc", 2, Map.of("seed", 2, "model", Map.of("digest", "0123", "name", "reference")));

    @TempDir
    Path folder;

    private Path results;
    private Runs runs;

    private final TestStage calibrate = TestStage.of("calibrate");
    private final TestStage baseline = TestStage.of("evaluate/full_precision");
    private final TestStage quantize = TestStage.of("quantize", "calibrate");
    private final TestStage evaluate = TestStage.of("evaluate/quantized", "quantize", "evaluate/full_precision");
    private final Plan plan = new Plan(List.of(calibrate, baseline, quantize, evaluate));

    @BeforeEach
    void useFolder() {
        results = folder.resolve("results");
        runs = new Runs(results);
    }

    private Run run(String tag, Plan ofPlan) throws IOException {
        return runs.run(tag, ofPlan, Optional.empty(), PROVENANCE, (directory, manifest) -> {});
    }

    private Run force(String tag, String stage) throws IOException {
        return runs.run(tag, plan, Optional.of(stage), PROVENANCE, (directory, manifest) -> {});
    }

    private List<Integer> counts() {
        return Stream.of(calibrate, baseline, quantize, evaluate)
                .map(stage -> stage.runs().get())
                .toList();
    }

    private Path entry(TestStage stage, Plan ofPlan) {
        String fingerprint = ofPlan.fingerprint(stage.name());
        return results.resolve(".cache/" + stage.name().replace('/', '-') + "-" + fingerprint.substring(0, 16));
    }

    private List<String> names(String directory) throws IOException {
        try (Stream<Path> paths = Files.list(results.resolve(directory))) {
            return paths.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }

    private List<String> partials() throws IOException {
        try (Stream<Path> paths = Files.walk(results)) {
            return paths.map(Path::toString)
                    .filter(path -> path.contains(".partial"))
                    .toList();
        }
    }

    @Test
    void gathersArtifactsManifestAndTheFilesOfTheCaller() throws IOException {
        Run run = runs.run("tiny/w4", plan, Optional.empty(), PROVENANCE, (directory, manifest) -> {
            assertThat(directory).hasFileName("w4.partial");
            assertThat(directory.resolve("evaluate/quantized/sub/out.txt")).exists();
            assertThat(results.resolve("tiny/w4")).doesNotExist();
            Files.writeString(
                    directory.resolve("metrics.json"),
                    "stages: " + manifest.stages().size());
        });

        assertThat(run.alreadyComplete()).isFalse();
        assertThat(run.directory()).isEqualTo(results.resolve("tiny/w4"));
        assertThat(names("tiny")).containsExactly("w4");
        assertThat(names("tiny/w4"))
                .containsExactly("calibrate", "evaluate", "manifest.json", "metrics.json", "quantize");
        assertThat(names("tiny/w4/evaluate/quantized")).containsExactly("sub");
        assertThat(run.directory().resolve("metrics.json")).hasContent("stages: 4");
        assertThat(run.directory().resolve("evaluate/quantized/sub/out.txt"))
                .hasContent("calibrate=0;quantize=0;evaluate/full_precision=0;evaluate/quantized=0;");
        assertThat(partials()).isEmpty();
    }

    @Test
    void writesAManifestThatReadsBack() throws IOException {
        Run run = run("a", plan);

        Manifest manifest = Manifest.read(run.directory());
        assertThat(manifest).isEqualTo(run.manifest());
        assertThat(manifest.fingerprint()).isEqualTo(plan.fingerprint());
        assertThat(manifest.program()).isEqualTo(PROVENANCE);
        assertThat(manifest.ended()).isAfterOrEqualTo(manifest.started());
        assertThat(manifest.stages().keySet())
                .containsExactlyElementsOf(plan.fingerprints().keySet());
        assertThat(manifest.stages().values()).noneMatch(Manifest.StageEntry::reused);
        assertThat(Files.readString(run.directory().resolve("manifest.json")))
                .containsSubsequence(
                        "\"fingerprint\"",
                        "\"program\"",
                        "\"machine\"",
                        "\"started\"",
                        "Z\"",
                        "\"ended\"",
                        "\"peak_memory_bytes\"",
                        "\"stages\"",
                        "\"calibrate\"",
                        "\"evaluate/quantized\"");
    }

    @Test
    void knowsWhichRunsAreComplete() throws IOException {
        assertThat(runs.complete("a", plan.fingerprint())).isEmpty();
        Run run = run("a", plan);
        Files.createDirectories(results.resolve("b"));

        assertThat(runs.complete("a", plan.fingerprint())).contains(new Run(run.directory(), run.manifest(), true));
        assertThat(runs.complete("a", "another")).isEmpty();
        assertThat(runs.complete("b", plan.fingerprint())).isEmpty();
        assertThat(run.manifest().seconds()).isBetween(0.0, 60.0);
    }

    @Test
    void describesTheFinishedStageInTheCache() throws IOException {
        run("a", plan);

        StageRecord done = Json.read(entry(quantize, plan).resolve("done.json"), StageRecord.class);
        assertThat(done.name()).isEqualTo("quantize");
        assertThat(done.inputs()).containsExactly(Map.entry("calibrate", plan.fingerprint("calibrate")));
        assertThat(done.settings()).isEqualTo("TestStage.Settings(setting=0)");
        assertThat(runs.cached(plan)).containsEntry("quantize", done).hasSize(4);
    }

    @Test
    void reusesStagesInAnotherRun() throws IOException {
        Run first = run("a", plan);
        Run second = run("b", plan);

        assertThat(counts()).containsExactly(1, 1, 1, 1);
        assertThat(second.alreadyComplete()).isFalse();
        assertThat(second.manifest().stages().values()).allMatch(Manifest.StageEntry::reused);
        assertThat(second.manifest().stage("calibrate").made())
                .isEqualTo(first.manifest().stage("calibrate").made());
        assertThat(second.directory().resolve("quantize/sub/out.txt")).hasContent("calibrate=0;quantize=0;");
    }

    @Test
    void doesNothingWhenTheRunIsComplete() throws IOException {
        Run first = run("a", plan);
        Run second = runs.run("a", plan, Optional.empty(), PROVENANCE, (directory, manifest) -> {
            throw new IOException("not needed");
        });

        assertThat(second).isEqualTo(new Run(first.directory(), first.manifest(), true));
    }

    @Test
    void runsAgainExactlyWhatDependsOnAChange() throws IOException {
        run("a", plan);

        run("version", new Plan(List.of(calibrate.withVersion(2), baseline, quantize, evaluate)));
        assertThat(counts()).containsExactly(2, 1, 2, 2);

        run("settings", new Plan(List.of(calibrate, baseline, quantize.withSetting(7), evaluate)));
        assertThat(counts()).containsExactly(2, 1, 3, 3);
        assertThat(results.resolve("settings/evaluate/quantized/sub/out.txt"))
                .hasContent("calibrate=0;quantize=7;evaluate/full_precision=0;evaluate/quantized=0;");
    }

    @Test
    void refusesATagOfAnotherPlan() throws IOException {
        run("a", plan);
        Plan other = new Plan(List.of(calibrate, baseline, quantize.withSetting(7), TestStage.of("extra")));

        assertThat(runs.conflict("a", plan)).isEmpty();
        assertThat(runs.conflict("b", other)).isEmpty();
        Runs.Conflict conflict = runs.conflict("a", other).orElseThrow();
        assertThat(conflict.isRun()).isTrue();
        assertThat(conflict.message())
                .isEqualTo(results.resolve("a") + ": made by another plan, these stages differ: quantize, extra,"
                        + " evaluate/quantized; use another tag or remove it");
        assertThatIllegalStateException().isThrownBy(() -> run("a", other)).withMessageContaining("another plan");
        assertThat(counts()).containsExactly(1, 1, 1, 1);
    }

    @Test
    void setsARunAsideUnderTheNextNumber() throws IOException {
        run("a", plan);
        Files.createDirectory(results.resolve("a.1"));

        assertThat(runs.asideOf("a")).isEqualTo(results.resolve("a.2"));
        assertThat(runs.setAside("a")).isEqualTo(results.resolve("a.2"));

        assertThat(results.resolve("a")).doesNotExist();
        assertThat(runs.complete("a.2", plan.fingerprint())).isPresent();
        run("a", plan);
        assertThat(counts()).as("stages are still cached").containsExactly(1, 1, 1, 1);
    }

    @Test
    void refusesATagThatIsNoRunOrInsideOne() throws IOException {
        run("a", plan);
        Files.createDirectory(results.resolve("mine"));
        Files.createDirectory(results.resolve("broken"));
        Files.writeString(results.resolve("broken/manifest.json"), "{}");

        assertThat(runs.conflict("mine", plan).orElseThrow().message()).contains("is not a run");
        assertThat(runs.conflict("broken", plan).orElseThrow().message()).contains("is not a run");
        assertThat(runs.conflict("a/calibrate/x", plan).orElseThrow().message()).contains("is a run");
    }

    @Test
    void forcesAStageAndItsDependents() throws IOException {
        Run first = run("a", plan);

        Run second = force("a", "quantize");

        assertThat(counts()).containsExactly(1, 1, 2, 2);
        assertThat(second.alreadyComplete()).isFalse();
        assertThat(Manifest.read(second.directory()))
                .isEqualTo(second.manifest())
                .isNotEqualTo(first.manifest());
        assertThat(second.manifest().stage("calibrate").reused()).isTrue();
        assertThat(second.manifest().stage("quantize").reused()).isFalse();
        assertThat(partials()).isEmpty();

        force("b", "evaluate");
        assertThat(counts()).containsExactly(1, 2, 2, 3);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> force("b", "train"))
                .withMessageContaining("calibrate");
    }

    @Test
    void leavesNothingOfAStageThatFails() throws IOException {
        TestStage failing = quantize.doing(output -> {
            throw new IOException("disk full");
        });

        assertThatIOException()
                .isThrownBy(() -> run("a", new Plan(List.of(calibrate, baseline, failing, evaluate))))
                .withMessage(entry(quantize, plan) + ": disk full");
        assertThat(partials()).isEmpty();
        assertThat(results.resolve("a")).doesNotExist();

        run("a", plan);
        assertThat(counts()).containsExactly(1, 1, 2, 1);
    }

    /** The system says only that no space is left. */
    @Test
    void namesTheEntryThatAFullDiskHasNoSpaceFor() throws IOException {
        Path full = Path.of("/dev/full");
        assumeTrue(Files.exists(full));
        TestStage failing = quantize.doing(output -> Files.write(full, new byte[1 << 16]));

        assertThatIOException()
                .isThrownBy(() -> run("a", new Plan(List.of(calibrate, baseline, failing, evaluate))))
                .withMessageStartingWith(entry(quantize, plan) + ": ");
        assertThatIOException()
                .isThrownBy(() -> runs.run("b", plan, Optional.empty(), PROVENANCE, (directory, manifest) -> {
                    Files.write(full, new byte[1 << 16]);
                }))
                .withMessageStartingWith(results.resolve("b") + ": ");
        assertThat(partials()).isEmpty();
        assertThat(names("")).containsExactly(".cache");
        assertThat(names(".cache")).noneMatch(name -> name.endsWith(".uses"));

        run("a", plan);
        assertThat(counts()).containsExactly(1, 1, 2, 1);
    }

    @Test
    void namesTheFileThatIsInTheWayOfAFolder() throws IOException {
        Files.createDirectories(results);
        Files.writeString(results.resolve(".cache"), "");
        assertThatExceptionOfType(FileAlreadyExistsException.class)
                .isThrownBy(() -> run("a", plan))
                .withMessageContaining(results.resolve(".cache").toString());

        Files.delete(results.resolve(".cache"));
        Files.writeString(results.resolve("sweep"), "");
        assertThatExceptionOfType(FileSystemException.class)
                .isThrownBy(() -> run("sweep/a", plan))
                .withMessageContaining(results.resolve("sweep").toString());
        assertThat(partials()).isEmpty();

        run("a", plan);
        assertThat(counts()).containsExactly(1, 1, 1, 1);
    }

    @Test
    void leavesNothingWhenTheCallersFilesFail() {
        assertThatExceptionOfType(ArithmeticException.class)
                .isThrownBy(() -> runs.run("a", plan, Optional.empty(), PROVENANCE, (directory, manifest) -> {
                    throw new ArithmeticException();
                }));
        assertThat(results.resolve("a")).doesNotExist();
        assertThat(results.resolve("a.partial")).doesNotExist();
    }

    @Test
    void replacesEntriesThatCannotBeTrusted() throws IOException {
        run("a", plan);
        Path done = entry(quantize, plan).resolve("done.json");
        String otherFingerprint = Files.readString(entry(calibrate, plan).resolve("done.json"));

        int expected = 1;
        for (String damage : List.of("", "{", "{}", "null", "[1]", otherFingerprint)) {
            Files.writeString(done, damage);
            run("b" + expected, plan);
            expected++;
            assertThat(counts()).as(damage).containsExactly(1, 1, expected, 1);
        }
        Files.delete(done);
        run("c", plan);
        assertThat(counts()).containsExactly(1, 1, expected + 1, 1);
        assertThat(partials()).isEmpty();
    }

    @Test
    void cleansUpAfterKilledProcesses() throws IOException {
        Path stale = results.resolve(".cache/calibrate-0123456789abcdef.partial-" + OwnerTest.DEAD + "/sub/deep");
        Path gathered = results.resolve("a.partial/calibrate");
        Path aside = results.resolve("a.partial~");
        for (Path path : List.of(stale, gathered, aside)) {
            Files.writeString(Files.createDirectories(path).resolve("half"), "x");
        }

        run("a", plan);

        assertThat(partials()).isEmpty();
        assertThat(names("a/calibrate")).containsExactly("sub");
    }

    @Test
    void leavesTheDirectoriesOfStagesThatAreBeingMade() throws IOException {
        Path cache = Files.createDirectories(results.resolve(".cache"));
        Path living = Files.createDirectory(cache.resolve("train-0123456789abcdef.partial-" + OwnerTest.DEAD));

        new LockFile(cache, "train-0123456789abcdef").hold(() -> run("a", plan));
        assertThat(living).exists();

        run("b", plan);
        assertThat(living).doesNotExist();
    }

    /** Its lock may be free only because locks do not reach this machine. */
    @Test
    void leavesTheDirectoriesOfOtherMachinesUntilTheyAreADayOld() throws IOException {
        Path cache = Files.createDirectories(results.resolve(".cache"));
        String name = "train-0123456789abcdef";
        Path partial = Files.createDirectory(cache.resolve(name + ".partial-" + OwnerTest.ELSEWHERE));
        Path unfinished = Files.createDirectory(cache.resolve(name + ".unfinished"));
        Path block = Files.writeString(unfinished.resolve("block-0"), "x");
        FileTime old = FileTime.from(Instant.now().minus(Duration.ofHours(25)));
        Files.setLastModifiedTime(partial, old);
        Files.setLastModifiedTime(unfinished, old);

        run("a", plan); // its owner writes blocks
        assertThat(partial).exists();

        Files.setLastModifiedTime(block, old);
        run("b", plan);
        assertThat(partial).doesNotExist();
        assertThat(unfinished).exists();
    }

    /** As when the entry appears between the last look and the rename. */
    @Test
    void replacesAnEntryThatAppearsMeanwhileAndIsNotWhole() throws IOException {
        TestStage slow = TestStage.of("calibrate").doing(output -> {
            Path theirs = entry(calibrate, new Plan(List.of(calibrate)));
            Files.writeString(Files.createDirectories(theirs).resolve("done.json"), "{");
        });

        Run run = run("a", new Plan(List.of(slow)));

        assertThat(run.manifest().stage("calibrate").reused()).isFalse();
        assertThat(run.directory().resolve("calibrate/sub/out.txt")).exists();
        assertThat(partials()).isEmpty();
    }

    @Test
    void usesTheEntryOfAFasterProcess() throws IOException {
        TestStage slow = TestStage.of("calibrate").doing(output -> {
            Runs elsewhere = new Runs(folder.resolve("elsewhere"));
            Plan same = new Plan(List.of(calibrate));
            elsewhere.run("x", same, Optional.empty(), PROVENANCE, (directory, manifest) -> {});
            Path theirs = entry(calibrate, same);
            Files.move(folder.resolve("elsewhere").resolve(results.relativize(theirs)), theirs);
        });

        Run run = run("a", new Plan(List.of(slow)));

        assertThat(run.manifest().stage("calibrate").reused()).isTrue();
        assertThat(run.directory().resolve("calibrate/sub/out.txt")).exists();
        assertThat(partials()).isEmpty();
    }

    @Test
    void refusesLinksAmongArtifacts() throws IOException {
        Path secret = Files.writeString(folder.resolve("secret"), "x");
        TestStage linking = TestStage.of("calibrate").doing(output -> {
            Files.createSymbolicLink(output.resolve("file"), secret);
        });
        assertThatIOException().isThrownBy(() -> run("a", new Plan(List.of(linking))));

        run("a", plan);
        Files.createSymbolicLink(entry(quantize, plan).resolve("directory"), folder);
        assertThatIOException()
                .isThrownBy(() -> run("b", plan))
                .withMessageContaining("directory: expected a plain file");
        assertThat(results.resolve("b")).doesNotExist();
        assertThat(partials()).isEmpty();
        assertThat(secret).hasContent("x");
    }

    @Test
    void sharesBytesByHardLinksAndCopiesWhereThereAreNone() throws IOException {
        run("a", plan);
        Path cached = entry(calibrate, plan).resolve("sub/out.txt");
        Path gathered = results.resolve("a/calibrate/sub/out.txt");
        assertThat(Files.readAttributes(gathered, "fileKey").get("fileKey"))
                .isEqualTo(Files.readAttributes(cached, "fileKey").get("fileKey"));

        URI zip = URI.create("jar:" + folder.resolve("copy.zip").toUri());
        try (FileSystem noLinks = FileSystems.newFileSystem(zip, Map.of("create", "true"))) {
            Trees.link(entry(calibrate, plan), noLinks.getPath("/copy"));
            assertThat(Files.readString(noLinks.getPath("/copy/sub/out.txt"), UTF_8))
                    .isEqualTo("calibrate=0;");
        }
    }

    @Test
    void keepsTagsInsideTheResultsFolder() throws IOException {
        for (String tag : List.of("a", "tiny-w4_g128", "v1.0", "sweep/bits-4", "a/b/c", "x.partial.y")) {
            assertThat(Runs.tagProblem(tag)).as(tag).isEmpty();
        }
        List<String> wrong = List.of(
                "",
                ".",
                "..",
                "../a",
                "a/..",
                "a/../b",
                "/a",
                "a/",
                "a//b",
                ".cache",
                "a/.b",
                "-a",
                "a b",
                "a\\b",
                "a\n",
                "a\0",
                "ä",
                "a.partial",
                "a.partial/b",
                "C:/a",
                "~a");
        for (String tag : wrong) {
            assertThat(Runs.tagProblem(tag)).as(tag).get().asString().startsWith("tag \"" + tag + "\": expected");
            assertThatIllegalArgumentException().isThrownBy(() -> run(tag, plan));
        }
        assertThat(results).doesNotExist();
    }

    @Test
    void makesEachStageOnceForConcurrentRuns() throws Exception {
        TestStage slow = calibrate.doing(output -> sleep(50));
        Plan slowPlan = new Plan(List.of(slow, baseline, quantize, evaluate));
        List<Callable<Run>> tasks = new ArrayList<>();
        for (String tag : List.of("a", "b", "c", "a", "b", "c")) {
            tasks.add(() ->
                    new Runs(results).run(tag, slowPlan, Optional.empty(), PROVENANCE, (directory, manifest) -> {}));
        }
        ExecutorService threads = Executors.newFixedThreadPool(tasks.size());
        List<Run> made = new ArrayList<>();
        try {
            for (Future<Run> future : threads.invokeAll(tasks)) {
                made.add(future.get());
            }
        } finally {
            threads.shutdownNow();
        }

        assertThat(counts()).containsExactly(1, 1, 1, 1);
        assertThat(made).filteredOn(Run::alreadyComplete).hasSize(3);
        assertThat(partials()).isEmpty();
    }

    private static void sleep(long millis) throws IOException {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            throw new IOException(e);
        }
    }
}
