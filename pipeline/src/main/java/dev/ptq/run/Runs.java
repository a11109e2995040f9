package dev.ptq.run;

import dev.ptq.lock.LockFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The runs in a results folder, one directory per tag, over a cache of finished stages in {@code .cache}.
 *
 * <p>A directory without {@code .partial} in its name is complete, even if a process was killed. Threads and processes
 * may share a folder; if two need the same stage, one makes it while the other waits.
 */
public final class Runs {
    private static final Logger log = LoggerFactory.getLogger(Runs.class);
    private static final Pattern TAG_PART = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]*(?<!\\.partial)");

    private static final String CACHE = ".cache";

    private final Path results;
    private final Path cacheFolder;
    private final StageCache cache;

    /** Uses a results folder, which need not exist yet. */
    public Runs(Path results) {
        this.results = results;
        this.cacheFolder = cacheFolder(results);
        this.cache = new StageCache(cacheFolder);
    }

    /** The folder of finished stages in a results folder. */
    public static Path cacheFolder(Path results) {
        return results.resolve(CACHE);
    }

    /** The problem with a tag, if any: it must be a relative path that stays within the results folder. */
    public static Optional<String> tagProblem(String tag) {
        for (String part : tag.split("/", -1)) {
            if (!TAG_PART.matcher(part).matches()) {
                return Optional.of("tag \"" + tag + "\": expected letters, digits, '.', '_' and '-', starting with a"
                        + " letter or digit and not ending in .partial, in each part between slashes, got \"" + part
                        + "\"");
            }
        }
        return Optional.empty();
    }

    /** The finished stages of a plan by name, in order: they would not be executed. */
    public Map<String, StageRecord> cached(Plan plan) {
        Map<String, StageRecord> found = new LinkedHashMap<>();
        plan.fingerprints()
                .forEach((stage, fingerprint) ->
                        cache.find(stage, fingerprint).ifPresent(done -> found.put(stage, done)));
        return found;
    }

    /** The stages of a plan, in order, and which of them are finished. */
    public List<PlannedStage> planned(Plan plan) {
        Set<String> made = cached(plan).keySet();
        return plan.stages().stream()
                .map(stage -> PlannedStage.of(stage, plan.fingerprint(stage.name()), made.contains(stage.name())))
                .toList();
    }

    /**
     * The run under a tag, if it is complete and made by that plan: {@link #run} would execute nothing.
     *
     * @param fingerprint of the plan
     */
    public Optional<Run> complete(String tag, String fingerprint) throws IOException {
        requireTag(tag);
        Path directory = results.resolve(tag);
        if (!Files.exists(directory.resolve(Manifest.FILE))) {
            return Optional.empty();
        }
        Manifest manifest = Manifest.read(directory);
        return manifest.fingerprint().equals(fingerprint)
                ? Optional.of(new Run(directory, manifest, true))
                : Optional.empty();
    }

    /**
     * Lists the folder of a tag, so that a network file system shows what other machines made there. It may remember for
     * a minute that a name was unknown.
     */
    public void lookAgain(String tag) throws IOException {
        requireTag(tag);
        Path folder = results.resolve(tag).resolveSibling("");
        if (Files.isDirectory(folder)) {
            Trees.list(folder);
        }
    }

    /**
     * The reason why a plan cannot run under a tag.
     *
     * @param what is in the way
     * @param isRun whether that is a run of another plan, which {@link #setAside} can move away
     */
    public record Conflict(String what, boolean isRun) {
        /** A sentence on it, with what to do. */
        public String message() {
            return what + "; use another tag or remove it";
        }
    }

    /**
     * The reason why a plan cannot run under a tag, if something else has that name; to be asked before {@link #run}.
     */
    public Optional<Conflict> conflict(String tag, Plan plan) {
        requireTag(tag);
        Path directory = results.resolve(tag);
        for (int slash = tag.indexOf('/'); slash >= 0; slash = tag.indexOf('/', slash + 1)) {
            Path outer = results.resolve(tag.substring(0, slash));
            if (Files.exists(outer.resolve(Manifest.FILE))) {
                return Optional.of(new Conflict(directory + ": " + outer + " is a run", false));
            }
        }
        if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            Manifest manifest = Manifest.read(directory);
            return manifest.fingerprint().equals(plan.fingerprint())
                    ? Optional.empty()
                    : Optional.of(new Conflict(
                            directory + ": made by another plan, these stages differ: "
                                    + String.join(", ", differences(manifest, plan)),
                            true));
        } catch (IOException e) {
            return Optional.of(new Conflict(directory + ": exists and is not a run with a readable manifest", false));
        }
    }

    /**
     * The folder that what is under a tag would be moved to: the tag with the first number that is free.
     */
    public Path asideOf(String tag) {
        requireTag(tag);
        int number = 1;
        while (Files.exists(results.resolve(tag + "." + number), LinkOption.NOFOLLOW_LINKS)) {
            number++;
        }
        return results.resolve(tag + "." + number);
    }

    /**
     * Moves what is under a tag, a run or the runs of a sweep, to {@link #asideOf}, with everything in it.
     *
     * @return where it is now
     */
    public Path setAside(String tag) throws IOException {
        requireTag(tag);
        Files.createDirectories(cacheFolder);
        return runLock(tag).hold(() -> {
            Path directory = results.resolve(tag);
            Path aside = asideOf(tag);
            Files.move(directory, aside, StandardCopyOption.ATOMIC_MOVE);
            log.info("{}: moved to {}", directory, aside);
            return aside;
        });
    }

    /** The lock of who makes a run; no tag has a plus, so no two tags share one. */
    private LockFile runLock(String tag) {
        return new LockFile(cacheFolder, "run+" + tag.replace('/', '+'));
    }

    private static Set<String> differences(Manifest manifest, Plan plan) {
        Set<String> names = new LinkedHashSet<>(plan.fingerprints().keySet());
        names.addAll(manifest.stages().keySet());
        names.removeIf(name -> {
            Manifest.StageEntry entry = manifest.stages().get(name);
            return entry != null
                    && entry.fingerprint().equals(plan.fingerprints().get(name));
        });
        return names;
    }

    /**
     * Executes the stages missing from the cache and gathers all artifacts under the tag.
     *
     * @param force a stage as in {@link Plan#from}: it and its dependents are made again, and so is the run
     * @param finish adds files to the run directory; not called if the run is already complete
     * @throws IllegalArgumentException if the tag is malformed or no stage is called {@code force}
     * @throws IllegalStateException if there is a {@link #conflict}
     */
    public Run run(String tag, Plan plan, Optional<String> force, Provenance provenance, Finish finish)
            throws IOException {
        requireTag(tag);
        Set<String> again = force.map(plan::from).orElse(Set.of());
        Files.createDirectories(cacheFolder);
        LockFile lock = runLock(tag);
        return lock.hold(() -> {
            Path directory = results.resolve(tag);
            lookAgain(tag); // another machine may have been at it just now
            conflict(tag, plan).ifPresent(conflict -> {
                throw new IllegalStateException(conflict.message());
            });
            if (again.isEmpty() && Files.exists(directory)) {
                log.info("{}: already complete", directory);
                return new Run(directory, Manifest.read(directory), true);
            }
            EntriesInUse inUse = new EntriesInUse(lock);
            try {
                return Failures.at(directory, () -> {
                    inUse.write(entryNames(plan));
                    return make(directory, plan, again, provenance, finish);
                });
            } finally {
                inUse.delete();
            }
        });
    }

    /** What is made of the artifacts of a plan. */
    @FunctionalInterface
    public interface Reading<T> {
        /** Reads the finished directory of each stage by its name. */
        T read(Map<String, Path> artifacts) throws IOException;
    }

    /** Executes the stages missing from the cache and reads their artifacts there; no run is made. */
    public <T> T read(Plan plan, Reading<T> reading) throws IOException {
        return using("read+" + plan.fingerprint(), plan, () -> {
            Map<String, Path> artifacts = new LinkedHashMap<>();
            obtain(plan.stages(), plan, Set.of()).forEach((name, entry) -> artifacts.put(name, entry.directory()));
            return reading.read(artifacts);
        });
    }

    /**
     * Executes one stage, after those that it needs, as far as they are missing from the cache; no run is made.
     *
     * @throws IllegalArgumentException if the plan has no such stage
     */
    public void obtain(Plan plan, String stage) throws IOException {
        using("stage+" + plan.fingerprint(stage), plan, () -> obtain(plan.upTo(stage), plan, Set.of()));
    }

    /**
     * Executes some parts of a stage, after the stages that it needs, for a later {@link #run} to take over. Does
     * nothing if the stage is finished.
     *
     * @param stage one of the plan
     * @param from the first part
     * @param to after the last part
     */
    public void runParts(Plan plan, PartedStage stage, int from, int to) throws IOException {
        String fingerprint = plan.fingerprint(stage.name());
        using("parts+" + fingerprint + "+" + from + "-" + to, plan, () -> {
            List<Stage> needed = plan.upTo(stage.name());
            Map<String, StageCache.Entry> entries = obtain(needed.subList(0, needed.size() - 1), plan, Set.of());
            cache.obtainParts(stage, fingerprint, inputs(stage, entries), from, to);
            return stage;
        });
    }

    /** Does work that uses entries of a plan, under a lock of its own, so that nobody deletes them meanwhile. */
    private <T> T using(String name, Plan plan, LockFile.Work<T> work) throws IOException {
        Files.createDirectories(cacheFolder);
        LockFile lock = new LockFile(cacheFolder, name);
        return lock.hold(() -> {
            EntriesInUse inUse = new EntriesInUse(lock);
            try {
                return Failures.at(cacheFolder, () -> {
                    inUse.write(entryNames(plan));
                    cache.sweep();
                    return work.run();
                });
            } finally {
                inUse.delete();
            }
        });
    }

    private Map<String, StageCache.Entry> obtain(List<Stage> stages, Plan plan, Set<String> again) throws IOException {
        Map<String, StageCache.Entry> entries = new LinkedHashMap<>();
        for (Stage stage : stages) {
            String fingerprint = plan.fingerprint(stage.name());
            entries.put(
                    stage.name(),
                    cache.obtain(stage, fingerprint, inputs(stage, entries), again.contains(stage.name())));
        }
        return entries;
    }

    private static Map<String, StageCache.Entry> inputs(Stage stage, Map<String, StageCache.Entry> entries) {
        Map<String, StageCache.Entry> inputs = new LinkedHashMap<>();
        stage.inputs().forEach(input -> inputs.put(input, entries.get(input)));
        return inputs;
    }

    private Run make(Path directory, Plan plan, Set<String> again, Provenance provenance, Finish finish)
            throws IOException {
        Instant started = now();
        cache.sweep();
        Map<String, StageCache.Entry> entries = obtain(plan.stages(), plan, again);
        Map<String, Manifest.StageEntry> stages = new LinkedHashMap<>();
        entries.forEach((name, entry) -> stages.put(name, Manifest.StageEntry.of(entry)));
        Manifest manifest = new Manifest(
                plan.fingerprint(), provenance, Machine.here(), started, now(), Machine.peakMemoryBytes(), stages);
        try (PartialDirectory partial = PartialDirectory.create(partialOf(directory))) {
            for (Map.Entry<String, StageCache.Entry> entry : entries.entrySet()) {
                entry.getValue().linkTo(partial.path().resolve(entry.getKey()));
            }
            finish.write(partial.path(), manifest);
            manifest.write(partial.path());
            partial.publish(directory);
        }
        return new Run(directory, manifest, false);
    }

    private static List<String> entryNames(Plan plan) {
        return plan.fingerprints().entrySet().stream()
                .map(stage -> StageCache.entryName(stage.getKey(), stage.getValue()))
                .toList();
    }

    private static Path partialOf(Path directory) {
        return directory.resolveSibling(directory.getFileName() + ".partial");
    }

    private static Instant now() {
        return Instant.now().truncatedTo(ChronoUnit.MILLIS);
    }

    private static void requireTag(String tag) {
        tagProblem(tag).ifPresent(problem -> {
            throw new IllegalArgumentException(problem);
        });
    }
}
