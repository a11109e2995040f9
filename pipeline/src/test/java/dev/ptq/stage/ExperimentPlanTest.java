package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class ExperimentPlanTest {
    @Test
    void givesTheShareOfALossAndNoneOfAGain() {
        assertThat(ExperimentPlan.recovered(1, 3, 1.5).getAsDouble()).isCloseTo(0.75, within(1e-12));
        assertThat(ExperimentPlan.recovered(1, 3, 4).getAsDouble()).isCloseTo(-0.5, within(1e-12));
        assertThat(ExperimentPlan.recovered(3, 3, 2)).isEmpty();
        assertThat(ExperimentPlan.recovered(3, 2, 1)).isEmpty();
    }
}
