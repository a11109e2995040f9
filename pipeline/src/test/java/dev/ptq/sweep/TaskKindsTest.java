package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.run.PlannedStage;
import dev.ptq.sweep.TaskList.Kind;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class TaskKindsTest {
    private static PlannedStage stage(String name, String fingerprint, boolean made, String... inputs) {
        return new PlannedStage(name, fingerprint, List.of(inputs), made, Optional.empty());
    }

    private static PlannedStage parted(String fingerprint, boolean made, Optional<String> order) {
        return new PlannedStage(
                "approximate", fingerprint, List.of("calibrate"), made, Optional.of(new PlannedStage.Parts(5, order)));
    }

    private static PlannedRun run(String tag, PlannedStage... stages) {
        return new PlannedRun(tag, List.of("x=1"), "f-" + tag, List.of(stages));
    }

    /** The kinds, and of each task what it makes. */
    private static List<String> kinds(int split, PlannedRun... runs) {
        return TaskKinds.of(List.of(runs), split).stream()
                .map(kind -> kind.name() + " after " + kind.after() + ": "
                        + kind.tasks().stream().map(TaskKindsTest::what).toList())
                .toList();
    }

    private static String what(TaskList.Task task) {
        return task.tag()
                + task.stage().map(stage -> " " + stage).orElse("")
                + task.parts()
                        .map(parts -> " " + parts.from() + "-" + parts.to())
                        .orElse("");
    }

    @Test
    void aStageOfSeveralRunsIsATaskOfItsOwn() {
        assertThat(kinds(
                        1,
                        run("a", stage("calibrate", "c", false), stage("approximate", "a4", false, "calibrate")),
                        run("b", stage("calibrate", "c", false), stage("approximate", "a8", false, "calibrate")),
                        run("plain", stage("evaluate", "e", false))))
                .containsExactly("shared after []: [a calibrate]", "points after [shared]: [a, b, plain]");
    }

    @Test
    void whatIsMadeIsNoTask() {
        assertThat(kinds(
                        1,
                        run("a", stage("calibrate", "c", true), stage("approximate", "a4", false, "calibrate")),
                        run("b", stage("calibrate", "c", true), stage("approximate", "a8", false, "calibrate"))))
                .containsExactly("points after []: [a, b]");
    }

    @Test
    void aSharedStageWaitsForTheSharedStagesThatItReads() {
        PlannedStage rotate = stage("rotate", "r", false);
        PlannedStage calibrate = stage("calibrate", "c", false, "rotate");
        PlannedStage baseline = stage("evaluate", "e", false);
        assertThat(kinds(1, run("a", rotate, calibrate, baseline), run("b", rotate, calibrate, baseline)))
                .containsExactly(
                        "shared after []: [a rotate, a evaluate]",
                        "shared-2 after [shared]: [a calibrate]",
                        "points after [shared, shared-2]: [a, b]");
    }

    @Test
    void blocksAreSplitEvenlyAndBaselinesRunBesideThem() {
        PlannedRun one = run(
                "big",
                stage("calibrate", "c", false),
                parted("a", false, Optional.empty()),
                stage("quantize", "q", false, "approximate"),
                stage("evaluate", "e", false));
        assertThat(kinds(2, one))
                .containsExactly(
                        "shared after []: [big calibrate]",
                        "baselines after [shared]: [big evaluate]",
                        "blocks after [shared]: [big approximate 0-2, big approximate 2-5]",
                        "points after [shared, baselines, blocks]: [big]");
        assertThat(kinds(9, one).get(2))
                .isEqualTo("blocks after [shared]: [big approximate 0-1, big approximate 1-2, big approximate 2-3,"
                        + " big approximate 3-4, big approximate 4-5]");
    }

    @Test
    void blocksThatAreDoneOrNeedOneAnotherAreNotSplit() {
        assertThat(kinds(2, run("a", stage("calibrate", "c", true), parted("a", true, Optional.empty()))))
                .containsExactly("points after []: [a]");
        assertThatThrownBy(() -> kinds(
                        2,
                        run("t/a", stage("calibrate", "c", false), parted("a", false, Optional.of("gptq is so"))),
                        run("t/b", stage("calibrate", "c", false), parted("b", false, Optional.of("awq is so")))))
                .isInstanceOf(ConfigException.class)
                .satisfies(problem -> assertThat(((ConfigException) problem).problems())
                        .containsExactly(
                                "t/a: its blocks cannot be split among processes: gptq is so",
                                "t/b: its blocks cannot be split among processes: awq is so"));
        assertThatThrownBy(() -> kinds(2, run("a", stage("evaluate", "e", false))))
                .hasMessageContaining("there is no step whose blocks could be split");
    }

    @Test
    void tasksKnowTheirRuns() {
        Kind points = TaskKinds.of(List.of(run("a", stage("evaluate", "e", false))), 1)
                .get(0);
        assertThat(points.tasks())
                .containsExactly(new TaskList.Task("a", List.of("x=1"), "f-a", Optional.empty(), Optional.empty()));
    }
}
