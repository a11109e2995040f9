package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CachePruningTest {
    private static final Provenance PROVENANCE = new Provenance("1", "abc", 1, Map.of());

    @TempDir
    Path folder;

    private Path results;
    private Path cache;

    private final TestStage calibrate = TestStage.of("calibrate");
    private final TestStage evaluate = TestStage.of("evaluate/quantized", "calibrate");
    private final Plan plan = new Plan(List.of(calibrate, evaluate));
    private final Plan other = new Plan(List.of(calibrate, evaluate.withSetting(7)));

    @BeforeEach
    void useFolder() {
        results = folder.resolve("results");
        cache = results.resolve(".cache");
    }

    private Run run(String tag, Plan ofPlan) throws IOException {
        return new Runs(results).run(tag, ofPlan, Optional.empty(), PROVENANCE, (directory, manifest) -> {});
    }

    private CachePruning.Result prune() throws IOException {
        return prune(false, Duration.ofMinutes(-1));
    }

    private CachePruning.Result prune(boolean all, Duration age) throws IOException {
        return new CachePruning(results, all, Instant.now().minus(age), false).run();
    }

    private static String entry(Plan plan, String stage) {
        return StageCache.entryName(stage, plan.fingerprint(stage));
    }

    private List<String> names() throws IOException {
        try (Stream<Path> paths = Files.list(cache)) {
            return paths.map(path -> path.getFileName().toString()).sorted().toList();
        }
    }

    private static List<String> deleted(CachePruning.Result result) {
        return result.deleted().stream().map(CacheEntry::name).toList();
    }

    private static Map<String, String> contents(Path directory) throws IOException {
        Map<String, String> contents = new TreeMap<>();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                contents.put(directory.relativize(file).toString(), Files.readString(file));
            }
        }
        return contents;
    }

    @Test
    void listsEntriesWithTheRunsThatUseThem() throws IOException {
        run("sweep/b", plan);
        run("sweep/a", plan);
        run("c", other);
        Trees.delete(results.resolve("c"));
        Files.createDirectories(results.resolve("mine"));
        Files.createDirectories(results.resolve("damaged"));
        Files.writeString(results.resolve("damaged/manifest.json"), "{");
        Files.createDirectories(cache.resolve("calibrate-0123456789abcdef.unfinished"));
        Files.createDirectories(cache.resolve("evaluate-x-0123456789abcdef.partial-" + OwnerTest.DEAD + "/sub"));
        Files.createDirectories(cache.resolve("train-0123456789abcdef"));
        Files.createDirectories(cache.resolve("notes"));

        List<CacheEntry> entries = CacheInventory.of(results);

        assertThat(entries.stream().map(entry -> entry.stage() + " " + entry.kind() + " " + entry.runs()))
                .containsExactly(
                        "calibrate FINISHED [sweep/a, sweep/b]",
                        "calibrate UNFINISHED []",
                        "evaluate-x PARTIAL []",
                        "evaluate/quantized FINISHED [sweep/a, sweep/b]",
                        "evaluate/quantized FINISHED []",
                        "train DAMAGED []");
        CacheEntry first = entries.get(0);
        assertThat(first.name()).isEqualTo(entry(plan, "calibrate")).endsWith(first.fingerprint());
        assertThat(first.bytes())
                .isEqualTo("calibrate=0;".length()
                        + Files.size(cache.resolve(first.name()).resolve("done.json")));
        assertThat(first.unshared()).isEqualTo(first.bytes() - "calibrate=0;".length());
        assertThat(CacheInventory.of(folder.resolve("none"))).isEmpty();
    }

    @Test
    void deletesWhatNoRunUses() throws IOException {
        run("a", plan);
        run("b", other);
        Trees.delete(results.resolve("b"));
        Map<String, String> before = contents(results.resolve("a"));

        CachePruning.Result result = prune();

        assertThat(deleted(result)).containsExactly(entry(other, "evaluate/quantized"));
        assertThat(result.busy()).isEmpty();
        assertThat(result.freedBytes()).isPositive();
        assertThat(result.sharedBytes()).isZero();
        assertThat(names()).containsExactly(entry(plan, "calibrate"), entry(plan, "evaluate/quantized"));
        assertThat(contents(results.resolve("a"))).isEqualTo(before);
        run("c", plan);
        assertThat(calibrate.runs()).hasValue(1);
        assertThat(evaluate.runs()).hasValue(2);
    }

    @Test
    void neverHarmsAFinishedRun() throws IOException {
        run("a", plan);
        Map<String, String> before = contents(results.resolve("a"));

        CachePruning.Result result = prune(true, Duration.ofMinutes(-1));

        assertThat(result.deleted()).hasSize(2);
        assertThat(result.sharedBytes()).isEqualTo("calibrate=0;calibrate=0;evaluate/quantized=0;".length());
        assertThat(names()).isEmpty();
        assertThat(contents(results.resolve("a"))).isEqualTo(before);
        assertThat(run("a", plan).alreadyComplete()).isTrue();
        run("b", plan);
        assertThat(calibrate.runs()).hasValue(2);
        assertThat(contents(results.resolve("a"))).isEqualTo(before);
    }

    @Test
    void aDryRunOnlyTells() throws IOException {
        run("a", plan);
        run("b", other);
        Trees.delete(results.resolve("b"));
        Files.createDirectories(cache.resolve("calibrate-0123456789abcdef.unfinished"));
        Files.createDirectories(results.resolve("empty"));
        List<String> before = names();

        CachePruning.Result dry = new CachePruning(results, false, Instant.now().plusSeconds(60), true).run();

        assertThat(names()).isEqualTo(before);
        CachePruning.Result real = prune();
        assertThat(deleted(dry)).isEqualTo(deleted(real)).hasSize(2);
        assertThat(dry.freedBytes()).isEqualTo(real.freedBytes());
    }

    @Test
    void leavesWhatIsYoung() throws IOException {
        run("a", plan);
        Trees.delete(results.resolve("a"));
        Path old = Files.createDirectories(cache.resolve("calibrate-0123456789abcdef.unfinished"));
        Files.setLastModifiedTime(old, FileTime.from(Instant.now().minus(Duration.ofDays(31))));
        Files.createDirectories(cache.resolve("train-0123456789abcdef.unfinished"));

        assertThat(deleted(prune(true, Duration.ofDays(30)))).containsExactly("calibrate-0123456789abcdef.unfinished");
        assertThat(deleted(prune())).hasSize(3);
    }

    @Test
    void deletesWhatKilledProcessesLeft() throws IOException {
        run("a", plan);
        Path deep = cache.resolve("calibrate-0123456789abcdef.partial-" + OwnerTest.DEAD + "/sub/deep");
        Files.writeString(Files.createDirectories(deep).resolve("half"), "x");
        Files.createDirectories(cache.resolve("calibrate-0123456789abcdef.partial-" + OwnerTest.DEAD + "~"));
        Files.writeString(
                Files.createDirectories(cache.resolve("calibrate-0123456789abcdef.unfinished"))
                        .resolve("pass"),
                "xx");
        Files.writeString(cache.resolve("calibrate-0123456789abcdef.lock"), "");
        Files.writeString(cache.resolve("run+gone.uses"), entry(other, "evaluate/quantized"));
        Files.writeString(cache.resolve("notes.txt"), "mine");

        CachePruning.Result result = prune();

        assertThat(result.deleted()).hasSize(3);
        assertThat(result.freedBytes()).isEqualTo(3);
        assertThat(result.locks()).isGreaterThanOrEqualTo(3);
        assertThat(names()).containsExactly(entry(plan, "calibrate"), entry(plan, "evaluate/quantized"), "notes.txt");
    }

    /** A lock that is free says nothing where locks do not reach other machines. */
    @Test
    void leavesWhatAnotherMachineMayBeMaking() throws IOException {
        Path theirs = Files.createDirectories(cache.resolve("train-0123456789abcdef.partial-" + OwnerTest.ELSEWHERE));

        assertThat(prune().busy()).singleElement().extracting(CacheEntry::kind).isEqualTo(CacheEntry.Kind.PARTIAL);
        assertThat(new CachePruning(results, false, Instant.now().plusSeconds(60), true)
                        .run()
                        .busy())
                .hasSize(1);
        assertThat(theirs).exists();
    }

    @Test
    void leavesWhatARunInProgressMakesOrUses() throws IOException {
        List<CachePruning.Result> results = new ArrayList<>();
        List<String> during = new ArrayList<>();
        TestStage pruning = evaluate.doing(output -> {
            results.add(prune(true, Duration.ofMinutes(-1)));
            during.addAll(names());
        });
        run("b", other);

        Run run = run("a", new Plan(List.of(calibrate, pruning)));

        assertThat(deleted(results.get(0))).containsExactly(entry(other, "evaluate/quantized"));
        assertThat(results.get(0).busy().stream().map(CacheEntry::kind))
                .containsExactlyInAnyOrder(
                        CacheEntry.Kind.FINISHED, CacheEntry.Kind.PARTIAL, CacheEntry.Kind.UNFINISHED);
        String making = entry(plan, "evaluate/quantized");
        assertThat(during)
                .hasSize(6)
                .contains(
                        entry(plan, "calibrate"), making + ".lock", making + ".unfinished", "run+a.lock", "run+a.uses")
                .anyMatch(name -> name.startsWith(making + ".partial-"));
        assertThat(run.directory().resolve("evaluate/quantized/sub/out.txt")).exists();
        assertThat(calibrate.runs()).hasValue(1);
        assertThat(names()).noneMatch(name -> name.endsWith(".uses"));
    }

    @Test
    void runsAndPruningDoNotDisturbEachOther() throws Exception {
        AtomicBoolean running = new AtomicBoolean(true);
        List<Callable<Integer>> tasks = new ArrayList<>();
        for (int worker = 0; worker < 3; worker++) {
            String tag = "w" + worker + "-";
            tasks.add(() -> {
                for (int i = 0; i < 40; i++) {
                    int setting = i % 4;
                    Run run = run(tag + i, new Plan(List.of(calibrate, evaluate.withSetting(setting))));
                    assertThat(run.directory().resolve("evaluate/quantized/sub/out.txt"))
                            .hasContent("calibrate=0;evaluate/quantized=" + setting + ";");
                }
                running.set(false);
                return 0;
            });
        }
        for (int pruner = 0; pruner < 2; pruner++) {
            tasks.add(() -> {
                int deleted = 0;
                while (running.get()) {
                    deleted += prune(true, Duration.ofMinutes(-1)).deleted().size();
                }
                return deleted;
            });
        }
        ExecutorService threads = Executors.newFixedThreadPool(tasks.size());
        try {
            int deleted = 0;
            for (Future<Integer> task : threads.invokeAll(tasks)) {
                deleted += task.get();
            }
            assertThat(deleted).isPositive();
        } finally {
            running.set(false);
            threads.shutdownNow();
        }
    }

    @Test
    void manifestsMayHoldAnything() throws IOException {
        run("a", plan);
        Path manifest = results.resolve("a/manifest.json");
        String whole = Files.readString(manifest);
        for (String damage : List.of(
                "",
                "null",
                whole.replace(plan.fingerprint("calibrate"), "../../x"),
                whole.replace("\"calibrate\" : {", "\"../x\" : null, \"calibrate\" : {"))) {
            Files.delete(manifest);
            Files.writeString(manifest, damage);
            assertThat(CacheInventory.of(results)).as(damage).hasSize(2);
        }
    }
}
