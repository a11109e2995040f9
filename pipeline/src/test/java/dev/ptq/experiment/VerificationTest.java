package dev.ptq.experiment;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VerificationTest {
    @ParameterizedTest
    @CsvSource({
        "5, 5, 0",
        "0, 0, 0",
        "-0.0, 0, 0",
        "200, 100, 0.5",
        "100, 200, 0.5",
        "-4, 4, 2",
        "0.25, 0.5, 0.25",
        "0, 1e-7, 1e-7"
    })
    void differencesAreRelativeToTheLargerNumberAndAtLeastOne(double then, double now, double relative) {
        Map<String, Object> before = Map.of("a", then);
        Map<String, Object> after = Map.of("a", now);

        assertThat(Verification.compare(before, after, relative))
                .isEqualTo(new Verification.Outcome(1, List.of(), relative));
        if (relative > 0) {
            assertThat(Verification.compare(before, after, 0.99 * relative).differences())
                    .containsExactly(new Verification.Difference("a", then, Optional.of(now), Optional.of(relative)));
        }
    }

    @Test
    void wordsMustBeEqualAndNumbersStayNumbers() {
        assertThat(Verification.compare(
                                Map.of("a", "gptq", "b", "NaN", "c", 1.0),
                                Map.of("a", "lqer", "b", "NaN", "c", "1.0"),
                                1e9)
                        .differences())
                .containsExactlyInAnyOrder(
                        new Verification.Difference("a", "gptq", Optional.of("lqer"), Optional.empty()),
                        new Verification.Difference("c", 1.0, Optional.of("1.0"), Optional.empty()));
    }

    @Test
    void whatIsNewDoesNotCountAndWhatIsGoneDoes() {
        assertThat(Verification.compare(Map.of("gone", 1.0), Map.of("new", 1.0), 1e9)
                        .differences())
                .containsExactly(new Verification.Difference("gone", 1.0, Optional.empty(), Optional.empty()));
    }
}
