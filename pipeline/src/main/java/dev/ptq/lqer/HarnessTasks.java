package dev.ptq.lqer;

import dev.ptq.evaluate.task.Profile;
import dev.ptq.evaluate.task.Tasks;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** Translates {@code [evaluate.harness_downstream]} into {@code [evaluation.tasks]}, by the rules of LQER's harness. */
final class HarnessTasks {
    private static final String AUTOMATIC = "auto";

    private static final Map<String, String> WITHOUT_COUNTERPART = Map.of(
            "device_map", Texts.PLACE,
            "device", Texts.PLACE,
            "max_memory", Texts.PLACE,
            "no_cache", "scores are kept with the run and nowhere else");

    private HarnessTasks() {}

    /** Writes the tasks that are there; the others become warnings. */
    static void write(LqerTable harness, ExperimentText.Section section) {
        section.comment(harness, WITHOUT_COUNTERPART);
        List<String> given = harness.texts("datasets").orElse(List.of());
        Predicate<String> isKnown = name -> Tasks.named(name, Profile.LQER).isPresent();
        List<String> known = given.stream().filter(isKnown).distinct().toList();
        List<String> missing = given.stream().filter(isKnown.negate()).toList();
        if (!missing.isEmpty() || given.isEmpty()) {
            section.warn(
                    harness,
                    "datasets",
                    given.isEmpty()
                            ? "left out; without tasks nothing is scored"
                            : "ptq has no " + String.join(", ", missing) + "; ptq list tasks shows what there is");
        }
        if (known.isEmpty()) {
            section.commentAll(harness, "no task is left");
            return;
        }
        section.set("names", known);
        section.set("profile", Profile.LQER.label());
        harness.whole("num_fewshot", 0).ifPresent(examples -> section.set("num_fewshot", examples));
        harness.whole("limit", 1).ifPresent(documents -> section.set("limit", documents));
        if (harness.peek("batch_size").filter(AUTOMATIC::equals).isPresent()) {
            section.comment(harness, "batch_size", "the default is used, which changes no score");
        } else {
            harness.whole("batch_size", 1).ifPresent(requests -> section.set("batch_size", requests));
        }
    }
}
