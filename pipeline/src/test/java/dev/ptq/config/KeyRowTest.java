package dev.ptq.config;

import static dev.ptq.config.DeclaredKeys.FORMATS;
import static dev.ptq.config.DeclaredKeys.decimal;
import static dev.ptq.config.DeclaredKeys.flag;
import static dev.ptq.config.DeclaredKeys.integer;
import static dev.ptq.config.DeclaredKeys.optionalText;
import static dev.ptq.config.DeclaredKeys.table;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class KeyRowTest {
    private static final Choices<Integer> LAYOUTS =
            Choices.of("document", 1, "one row").and("lines", 2, "a row for each line");

    @Test
    void saysAllThatIsDeclaredOfAKey() {
        Section section = Section.of(
                "texts",
                integer("bits", 2, 8),
                Key.integer("seed").from(0).preset(1).says("of everything random"),
                decimal("rate", 0, 10).preset(5e-4),
                flag("fast").presetIs("true on Tuesdays"),
                optionalText("tag"),
                Key.choice("layout", LAYOUTS).preset(2).says("how it falls into rows"),
                Key.choices("formats", FORMATS).preset(List.of(2)).says("some formats"),
                Key.table("factor", Section.of("format", integer("bits", 2, 8)), "{ bits = 8 }")
                        .says("a factor"));

        assertThat(KeyRow.of(section))
                .containsExactly(
                        row("bits", "a whole number from 2 to 8", "required", "a number"),
                        row("seed", "a whole number of at least 0", "`1`", "of everything random"),
                        row("rate", "a number from 0 to 10", "`0.0005`", "a number"),
                        row("fast", "true or false", "true on Tuesdays", "a flag"),
                        row("tag", "a string", "", "a text"),
                        row(
                                "layout",
                                "`\"document\"`, `\"lines\"`",
                                "`\"lines\"`",
                                "how it falls into rows. `\"document\"`: one row; `\"lines\"`: a row for each line"),
                        row(
                                "formats",
                                "a list of `\"mxint\"`, `\"int\"`, `\"minifloat\"`",
                                "`[\"int\"]`",
                                "some formats"),
                        row("factor", "a table, `format`", "`{ bits = 8 }`", "a factor"));
    }

    @Test
    void keysOfOneNameAndMeaningShareARow() {
        Key<Integer> bits = integer("bits", 2, 8);
        Key<Double> rate = decimal("rate", 0, 1).says("of learning");
        Choices<Keys> methods = Choices.of("a", Keys.of(rate.preset(0.5), bits), "")
                .and("b", Keys.of(rate.preset(0.5), bits.says("of a divisor")), "")
                .and("c", Keys.of(rate.preset(0.25), integer("bits", 3, 9)), "");
        Section section = Section.choosing("step", Key.choice("method", methods).says("which"), methods, keys -> keys);

        assertThat(KeyRow.of(section, List.of("a", "b", "c")))
                .containsExactly(
                        new KeyRow(
                                "rate",
                                List.of("a", "b", "c"),
                                "a number from 0 to 1",
                                "`0.5`; `c`: `0.25`",
                                "of learning"),
                        new KeyRow(
                                "bits",
                                List.of("a", "c"),
                                "`a`: a whole number from 2 to 8; `c`: a whole number from 3 to 9",
                                "required",
                                "a number"),
                        new KeyRow("bits", List.of("b"), "a whole number from 2 to 8", "required", "of a divisor"));
        assertThat(KeyRow.of(section, List.of("b"))).extracting(KeyRow::preset).containsExactly("`0.5`", "required");
        assertThat(KeyRow.of(section)).extracting(KeyRow::key).containsExactly("method");
        assertThat(section.choices()).containsOnlyKeys("a", "b", "c");
    }

    @Test
    void sectionsAreFoundFromTheOutermost() {
        Section free = Section.ofNames("names", table("NAME", integer("bits", 2, 8)));
        Section root = Section.of(
                "file",
                table("model", table("weight", flag("on"))),
                Key.table("points", free).says("points"));

        assertThat(root.withInner()).extracting(Section::title).containsExactly("file", "model", "weight", "NAME");
    }

    private static KeyRow row(String key, String values, String preset, String meaning) {
        return new KeyRow(key, List.of(), values, preset, meaning);
    }
}
