package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class SpellingTest {
    @Test
    void countsSlips() {
        assertThat(Spelling.slips("", "")).isZero();
        assertThat(Spelling.slips("abc", "")).isEqualTo(3);
        assertThat(Spelling.slips("kitten", "sitting")).isEqualTo(3);
        assertThat(Spelling.slips("mxitn", "mxint")).as("a swap is one slip").isEqualTo(1);
        assertThat(Spelling.slips("ca", "abc")).as("no letter moves twice").isEqualTo(3);
    }

    @Test
    void findsTheClosestWord() {
        assertThat(Spelling.closest("gruop_size", List.of("bits", "group_size")))
                .contains("group_size");
        assertThat(Spelling.closest("group-size", List.of("group_size"))).contains("group_size");
        assertThat(Spelling.closest("MXINT", List.of("int", "mxint"))).contains("mxint");
        assertThat(Spelling.closest("mint", List.of("mxint", "int")))
                .as("the first of a tie")
                .contains("mxint");
    }

    @Test
    void findsNothingFarAway() {
        assertThat(Spelling.closest("colour", List.of("seed", "model"))).isEmpty();
        assertThat(Spelling.closest("a", List.of("b")))
                .as("a letter is no typo of another")
                .isEmpty();
        assertThat(Spelling.closest("", List.of("x"))).isEmpty();
        assertThat(Spelling.closest("x", List.of())).isEmpty();
    }
}
