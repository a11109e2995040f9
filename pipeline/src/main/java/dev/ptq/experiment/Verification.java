package dev.ptq.experiment;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigFiles;
import dev.ptq.progress.Progress;
import dev.ptq.run.Machine;
import dev.ptq.run.Manifest;
import dev.ptq.run.Plan;
import dev.ptq.run.Provenance;
import dev.ptq.run.Run;
import dev.ptq.run.Runs;
import dev.ptq.run.SmallFile;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Workspace;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A finished run, made again to see whether its numbers come out. The run's directory may be anyone's. */
public final class Verification implements AutoCloseable {
    private final Manifest manifest;
    private final Map<String, Object> metrics;
    private final Experiment experiment;
    private final Workspace workspace;
    private final Plan plan;

    /**
     * How metrics agree.
     *
     * @param metrics how many were compared
     * @param differences of metrics that do not agree
     * @param largest relative difference of those that do
     */
    public record Outcome(int metrics, List<Difference> differences, double largest) {}

    /**
     * A metric that does not agree.
     *
     * @param then its value in the run
     * @param now empty if there is none any more
     * @param relative difference, unless one is no number
     */
    public record Difference(String metric, Object then, Optional<Object> now, Optional<Double> relative) {}

    private Verification(Manifest manifest, Map<String, Object> metrics, Experiment experiment, Workspace workspace)
            throws IOException {
        this.manifest = manifest;
        this.metrics = metrics;
        this.experiment = experiment;
        this.workspace = workspace;
        this.plan = ExperimentPlan.of(workspace);
    }

    /**
     * Reads what a run says of itself, and plans it anew.
     *
     * @param downloads fetches what it needs from the hub, if that may be asked
     *
     * @throws IOException naming the file that is absent or damaged
     */
    public static Verification of(Path run, Progress.Reporter reporter, Optional<Downloads> downloads)
            throws IOException {
        Manifest manifest = Manifest.read(run);
        Map<String, Object> metrics = metrics(run);
        Path config = run.resolve(RunFiles.RESOLVED);
        SmallFile.read(config);
        if (downloads.isPresent()) {
            downloads.get().fetch(ConfigFiles.read(config), List.of(), List.of());
        }
        Experiment experiment = Experiment.read(config, List.of());
        Workspace workspace = new Workspace(experiment, reporter);
        try {
            return new Verification(manifest, metrics, experiment, workspace);
        } catch (IOException | RuntimeException e) {
            workspace.close();
            throw e;
        }
    }

    /** The numbers and words; a metric is nothing else. */
    private static Map<String, Object> metrics(Path run) throws IOException {
        Path file = run.resolve(RunFiles.METRICS);
        byte[] json = SmallFile.read(file);
        Map<String, Object> metrics = new LinkedHashMap<>();
        try {
            JsonMapper.shared().readTree(json).properties().forEach(entry -> {
                JsonNode value = entry.getValue();
                if (value.isNumber()) {
                    metrics.put(entry.getKey(), value.doubleValue());
                } else if (value.isString()) {
                    metrics.put(entry.getKey(), value.stringValue());
                }
            });
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        if (metrics.isEmpty()) {
            throw new IOException(file + ": expected numbers and words by name, found none");
        }
        return metrics;
    }

    /** Files that are not those the run was made from, so that the numbers cannot agree. */
    public List<String> changedSources() {
        List<String> changed = new ArrayList<>();
        Map<String, String> now = digests(workspace.sources());
        digests(manifest.program().sources()).forEach((source, digest) -> {
            String other = now.get(source);
            if (other == null) {
                changed.add(source + " is not used");
            } else if (!other.equals(digest)) {
                changed.add(source + " changed: sha256 " + shortened(other) + ", was " + shortened(digest));
            }
        });
        return changed;
    }

    /** What else is not as it was when the run was made. */
    public List<String> changedProgram(String version, String commit) {
        Provenance program = manifest.program();
        List<String> changed = new ArrayList<>();
        note(changed, "the program's version", version, program.version());
        note(changed, "the program's commit", commit, program.commit());
        // it decides the last bits of products and sums; the number of threads decides nothing
        manifest.machine()
                .cpu()
                .ifPresent(cpu ->
                        note(changed, "the processor", Machine.here().cpu().orElse("unknown"), cpu));
        plan.stages().forEach(stage -> {
            Manifest.StageEntry entry = manifest.stages().get(stage.name());
            if (entry != null) {
                note(changed, "the version of stage " + stage.name(), stage.version(), entry.version());
            }
        });
        return changed;
    }

    private static void note(List<String> notes, String what, Object now, Object then) {
        if (!now.equals(then)) {
            notes.add(what + ": " + now + ", was " + then);
        }
    }

    private static Map<String, String> digests(Map<String, Object> sources) {
        Map<String, String> digests = new LinkedHashMap<>();
        for (String source : List.of("model", "tokenizer")) {
            digest(sources.get(source)).ifPresent(digest -> digests.put("the " + source, digest));
        }
        if (sources.get("texts") instanceof Map<?, ?> texts) {
            texts.forEach((label, text) -> digest(text).ifPresent(digest -> digests.put("the text " + label, digest)));
        }
        if (sources.get("tasks") instanceof Map<?, ?> tasks) {
            tasks.forEach((names, data) -> {
                if (data instanceof Map<?, ?> map && map.get("sha256") instanceof List<?> files) {
                    for (int i = 0; i < files.size(); i++) {
                        digests.put("the data of " + names + ", file " + (i + 1), String.valueOf(files.get(i)));
                    }
                }
            });
        }
        return digests;
    }

    private static Optional<String> digest(@Nullable Object source) {
        return source instanceof Map<?, ?> map && map.get("sha256") instanceof String digest
                ? Optional.of(digest)
                : Optional.empty();
    }

    private static String shortened(String digest) {
        return digest.length() <= 12 ? digest : digest.substring(0, 12) + "…";
    }

    /**
     * Makes everything again and compares the metrics.
     *
     * @param results a folder with nothing in its cache
     * @param tolerance relative to the larger of two numbers; for smaller numbers than one, absolute
     */
    public Outcome run(Path results, String version, String commit, double tolerance) throws IOException {
        workspace.check();
        Provenance provenance = new Provenance(version, commit, Parallel.THREADS, workspace.sources());
        Run again = new Runs(results)
                .run(
                        "again",
                        plan,
                        Optional.empty(),
                        provenance,
                        (directory, made) -> new ResultFiles(experiment, directory, made).write());
        return compare(metrics, metrics(again.directory()), tolerance);
    }

    /** What is new now does not count: later versions may measure more. */
    static Outcome compare(Map<String, Object> then, Map<String, Object> now, double tolerance) {
        List<Difference> differences = new ArrayList<>();
        double largest = 0;
        for (Map.Entry<String, Object> metric : then.entrySet()) {
            Object before = metric.getValue();
            Object after = now.get(metric.getKey());
            if (before instanceof Double a && after instanceof Double b) {
                double relative = relative(a, b);
                if (relative <= tolerance) {
                    largest = Math.max(largest, relative);
                } else {
                    differences.add(new Difference(metric.getKey(), a, Optional.of(b), Optional.of(relative)));
                }
            } else if (!before.equals(after)) {
                differences.add(new Difference(metric.getKey(), before, Optional.ofNullable(after), Optional.empty()));
            }
        }
        return new Outcome(then.size(), differences, largest);
    }

    /** Differences of losses are rounded as the losses are, whose size is some units, so there one is the measure. */
    private static double relative(double before, double after) {
        return before == after
                ? 0
                : Math.abs(after - before) / Math.max(1, Math.max(Math.abs(before), Math.abs(after)));
    }

    @Override
    public void close() throws IOException {
        workspace.close();
    }
}
