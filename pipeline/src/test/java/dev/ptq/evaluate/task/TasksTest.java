package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The resources: what the harness and published descriptions of the data sets say of them. */
class TasksTest {
    private static TaskNode named(String name, Profile profile) {
        return Tasks.named(name, profile).orElseThrow();
    }

    @Test
    void describesEveryTask() {
        assertThat(Tasks.descriptions()).hasSize(12).doesNotContainValue("");
        assertThat(Tasks.names(Profile.HARNESS)).hasSize(12 + 4 + 57);
        assertThat(Tasks.names(Profile.LQER))
                .containsExactlyInAnyOrderElementsOf(Tasks.descriptions().keySet().stream()
                        .filter(name -> !name.equals("mmlu"))
                        .toList());
        for (String name : Tasks.names(Profile.HARNESS)) {
            assertThat(named(name, Profile.HARNESS).tasks()).isNotEmpty().allSatisfy(task -> {
                assertThat(task.metrics()).isNotEmpty();
                assertThat(task.splits()).containsKey(task.evaluatedSplit());
                assertThat(List.of(
                                task.source().paper(),
                                task.source().licence(),
                                task.source().dataset()))
                        .doesNotContain("");
            });
        }
    }

    @Test
    void groupsAddUp() {
        Map<String, Integer> tasks =
                List.of("mmlu", "mmlu_stem", "mmlu_other", "mmlu_social_sciences", "mmlu_humanities").stream()
                        .collect(Collectors.toMap(
                                name -> name,
                                name -> named(name, Profile.HARNESS).tasks().size()));
        assertThat(tasks)
                .isEqualTo(Map.of(
                        "mmlu",
                        57,
                        "mmlu_stem",
                        19,
                        "mmlu_other",
                        13,
                        "mmlu_social_sciences",
                        12,
                        "mmlu_humanities",
                        13));
        assertThat(named("mmlu", Profile.HARNESS).tasks().stream()
                        .mapToInt(task -> task.splits().get("test"))
                        .sum())
                .isEqualTo(14042);
    }

    @Test
    void versionsAndSplitsAreThoseOfTheProfile() {
        assertThat(versions(Profile.HARNESS))
                .isEqualTo(Map.ofEntries(
                        Map.entry("lambada_openai", "1.0 test test 5153"),
                        Map.entry("piqa", "1.0 validation train 1838"),
                        Map.entry("arc_easy", "1.0 test train 2376"),
                        Map.entry("arc_challenge", "1.0 test train 1172"),
                        Map.entry("winogrande", "1.0 validation train 1267"),
                        Map.entry("boolq", "2.0 validation train 3270"),
                        Map.entry("openbookqa", "1.0 test train 500"),
                        Map.entry("hellaswag", "1.0 validation train 10042"),
                        Map.entry("copa", "1.0 validation train 100"),
                        Map.entry("sciq", "1.0 test train 1000"),
                        Map.entry("mmlu_virology", "1.0 test dev 166"),
                        Map.entry("wikitext", "2.0 test test 62")));
        assertThat(versions(Profile.LQER).values().stream()
                        .map(version -> version.substring(0, 3))
                        .toList())
                .hasSize(11)
                .containsOnly("0.0", "1.0");
        assertThat(versions(Profile.LQER)).containsEntry("boolq", "1.0 validation train 3270");
        assertThat(versions(Profile.LQER)).containsEntry("wikitext", "1.0 test test 62");
    }

    private static Map<String, String> versions(Profile profile) {
        return Tasks.names(profile).stream()
                .map(name -> named(name, profile))
                .filter(node -> node instanceof Task
                        && (!node.name().startsWith("mmlu") || node.name().endsWith("virology")))
                .map(Task.class::cast)
                .collect(Collectors.toMap(
                        Task::name,
                        task -> task.version() + " " + task.evaluatedSplit() + " " + task.exampleSplit() + " "
                                + task.splits().get(task.evaluatedSplit())));
    }
}
