package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Compares the stages of a plan with the cache. */
final class Explainer {
    private final Path folder;
    private final Plan plan;
    private final StageCache cache;
    private final List<StageRecord> finished;
    private final Map<String, Stage> stages;

    /** Fingerprints of the entries that earlier stages were compared with. */
    private final Map<String, String> above = new HashMap<>();

    Explainer(Path results, Plan plan) throws IOException {
        this.folder = Runs.cacheFolder(results);
        this.plan = plan;
        this.cache = new StageCache(folder);
        this.finished = CacheInventory.of(results).stream()
                .flatMap(entry -> entry.done().stream())
                .toList();
        this.stages = plan.stages().stream().collect(Collectors.toMap(Stage::name, stage -> stage));
    }

    List<Explanation> explanations() {
        return plan.stages().stream().map(this::explain).toList();
    }

    private Explanation explain(Stage stage) {
        String fingerprint = plan.fingerprint(stage.name());
        Optional<StageRecord> made = cache.find(stage.name(), fingerprint);
        if (made.isPresent()) {
            return new Explanation(stage.name(), made, false, Optional.empty());
        }
        String name = StageCache.entryName(stage.name(), fingerprint);
        boolean begun = Files.isDirectory(folder.resolve(name + StageCache.UNFINISHED));
        return new Explanation(stage.name(), made, begun, nearest(stage));
    }

    /** The entry with the fewest differences; among equals the youngest. */
    private Optional<Explanation.Nearest> nearest(Stage stage) {
        Comparator<Map.Entry<StageRecord, List<Explanation.Difference>>> order =
                Comparator.comparing(entry -> entry.getValue().size());
        Optional<Map.Entry<StageRecord, List<Explanation.Difference>>> nearest = finished.stream()
                .filter(done -> done.name().equals(stage.name()))
                .map(done -> Map.entry(done, differences(stage, done)))
                .min(order.thenComparing(entry -> entry.getKey().started(), Comparator.reverseOrder())
                        .thenComparing(entry -> entry.getKey().fingerprint()));
        nearest.ifPresent(entry -> above.put(stage.name(), entry.getKey().fingerprint()));
        return nearest.map(entry -> new Explanation.Nearest(
                StageCache.entryName(stage.name(), entry.getKey().fingerprint()), entry.getValue()));
    }

    private List<Explanation.Difference> differences(Stage stage, StageRecord done) {
        List<Explanation.Difference> found = own(stage, done);
        Set<String> inputs = new LinkedHashSet<>(stage.inputs());
        inputs.addAll(done.inputs().keySet());
        for (String input : inputs) {
            String now = stage.inputs().contains(input) ? plan.fingerprint(input) : null;
            String was = done.inputs().get(input);
            if (now == null || !now.equals(was)) {
                found.add(new Explanation.Difference("input " + input, inputDifference(input, now, was)));
            }
        }
        if (found.isEmpty()) {
            found.add(new Explanation.Difference("fingerprint", "of equal settings and inputs differs"));
        }
        return found;
    }

    /** All differences except inputs. */
    private static List<Explanation.Difference> own(Stage stage, StageRecord done) {
        List<Explanation.Difference> found = new ArrayList<>();
        if (stage.version() != done.version()) {
            found.add(new Explanation.Difference("version", stage.version() + ", was " + done.version()));
        }
        SettingsTree now = SettingsReader.read(CanonicalText.of(stage.settings(), stage.name()));
        SettingsTree.differences(now, SettingsReader.read(done.settings()))
                .forEach((key, text) -> found.add(new Explanation.Difference(key, text)));
        return found;
    }

    private String inputDifference(String input, @Nullable String now, @Nullable String was) {
        if (was == null) {
            return "is new";
        }
        if (now == null) {
            return "is none any more";
        }
        if (was.equals(above.get(input))) {
            return "differs (see above)";
        }
        Stage stage = stages.get(input);
        Optional<StageRecord> other =
                finished.stream().filter(done -> done.fingerprint().equals(was)).findFirst();
        if (stage == null || other.isEmpty()) {
            return "differs, the one it used is not in the cache";
        }
        String reasons = own(stage, other.get()).stream()
                .map(difference -> difference.key() + " " + difference.text())
                .collect(Collectors.joining(", "));
        return "differs (" + (reasons.isEmpty() ? "in its own inputs" : reasons) + ")";
    }
}
