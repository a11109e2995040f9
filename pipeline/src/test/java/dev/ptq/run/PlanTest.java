package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.junit.jupiter.api.Test;

class PlanTest {
    private static final TestStage CALIBRATE = TestStage.of("calibrate");
    private static final TestStage QUANTIZE = TestStage.of("quantize", "calibrate");
    private static final TestStage EVALUATE = TestStage.of("evaluate/quantized", "quantize");
    private static final TestStage BASELINE = TestStage.of("evaluate/full_precision");

    @Test
    void keepsTheOrder() {
        Plan plan = new Plan(List.of(CALIBRATE, BASELINE, QUANTIZE, EVALUATE));

        assertThat(plan.stages()).containsExactly(CALIBRATE, BASELINE, QUANTIZE, EVALUATE);
        assertThat(plan.fingerprints().keySet())
                .containsExactly("calibrate", "evaluate/full_precision", "quantize", "evaluate/quantized");
        assertThat(plan.fingerprints().values()).doesNotHaveDuplicates().allMatch(hex -> hex.matches("[0-9a-f]{64}"));
    }

    @Test
    void givesEqualPlansEqualFingerprints() {
        Plan plan = new Plan(List.of(CALIBRATE, QUANTIZE));
        Plan same = new Plan(List.of(TestStage.of("calibrate"), TestStage.of("quantize", "calibrate")));

        assertThat(same.fingerprint()).isEqualTo(plan.fingerprint());
        assertThat(new Plan(List.of(CALIBRATE)).fingerprint()).isNotEqualTo(plan.fingerprint());
    }

    @Test
    void tellsStagesApartByNameVersionSettingsAndInputs() {
        List<TestStage> stages = List.of(
                TestStage.of("b"),
                TestStage.of("c"),
                TestStage.of("b").withVersion(2),
                TestStage.of("b").withSetting(1),
                TestStage.of("b", "a"),
                TestStage.of("b", "a", "d"),
                TestStage.of("b", "d", "a"));

        assertThat(stages)
                .extracting(stage ->
                        new Plan(List.of(TestStage.of("a"), TestStage.of("d"), stage)).fingerprint(stage.name()))
                .doesNotHaveDuplicates();
    }

    @Test
    void namesAStageAndItsDependents() {
        Plan plan = new Plan(List.of(CALIBRATE, BASELINE, QUANTIZE, EVALUATE));

        assertThat(plan.from("calibrate")).containsExactly("calibrate", "quantize", "evaluate/quantized");
        assertThat(plan.from("evaluate")).containsExactly("evaluate/full_precision", "evaluate/quantized");
        assertThat(plan.from("evaluate/quantized")).containsExactly("evaluate/quantized");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> plan.from("eval"))
                .withMessage("expected one of the stages [calibrate, evaluate/full_precision, quantize,"
                        + " evaluate/quantized], got \"eval\"");
    }

    @Test
    void refusesMalformedPlans() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Plan(List.of(CALIBRATE, CALIBRATE)))
                .withMessageContaining("two");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Plan(List.of(QUANTIZE, CALIBRATE)))
                .withMessage("stage quantize: expected inputs among the earlier stages [], got [calibrate]");
        for (String name : List.of("", "..", "/a", "a/", "a//b", "a/../b", "manifest.json", "a b", "-a")) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> new Plan(List.of(TestStage.of(name))))
                    .withMessageStartingWith("stage \"" + name + "\": ");
        }
    }
}
