package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.ptq.config.ConfigException;
import java.util.List;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

class TemplateTest {
    private static final ObjectNode DOCUMENT = (ObjectNode) JsonMapper.shared()
            .readTree(
                    "{\"a\": \" One two\", \"n\": 3, \"f\": 0.5, \"list\": [\" x\", \"Y \"], \"in\": {\"list\": [\"z\"]},"
                            + " \"no\": null, \"yes\": true, \"braces\": \"{a}\", \"ctx_a\": \"A_b_c\"}");

    private static String text(String template) {
        return Template.of(template, List.of()).text(DOCUMENT);
    }

    @Test
    void putsFieldsInTheirPlaces() {
        assertThat(text("<{a}> {n}{f}")).isEqualTo("< One two> 30.5");
        assertThat(text("{a|strip|lower_first|drop_last}.")).isEqualTo("one tw.");
        assertThat(text("{list.1|strip}{in.list.0}")).isEqualTo("Yz");
        assertThat(text("{braces}")).isEqualTo("{a}");
        assertThat(text("")).isEmpty();
        assertThat(text("plain\n")).isEqualTo("plain\n");
        assertThat(Template.of(" {a} ", List.of("strip", "capitalize")).text(DOCUMENT))
                .isEqualTo("One two");
        assertThat(Template.of("{list|strip}", List.of()).texts(DOCUMENT)).containsExactly("x", "Y");
    }

    @Test
    void operationsHaveNoSurprises() {
        assertThat(TextOperation.BEFORE_LAST_SPACE.apply("a b\u00a0c\nd")).isEqualTo("a");
        assertThat(TextOperation.AFTER_LAST_SPACE.apply("a b\u00a0c\nd")).isEqualTo("b\u00a0c\nd");
        assertThat(TextOperation.BEFORE_LAST_SPACE.apply("abc")).isEmpty();
        assertThat(TextOperation.AFTER_LAST_SPACE.apply("abc")).isEqualTo("abc");
        assertThat(TextOperation.AFTER_LAST_SPACE.apply("abc ")).isEmpty();
        assertThat(TextOperation.BEFORE_GAP.apply("a _b_c")).isEqualTo("a ");
        assertThat(TextOperation.AFTER_GAP.apply("a _b_c")).isEqualTo("b_c");
        assertThat(TextOperation.DROP_LAST.apply("a\ud834\udd1e")).isEqualTo("a");
        assertThat(TextOperation.DROP_LAST.apply("")).isEmpty();
        assertThat(TextOperation.LETTER.apply("5")).isEqualTo("E");
        assertThat(TextOperation.LETTER.apply("B")).isEqualTo("B");
        assertThat(TextOperation.HELLASWAG.apply(" [header] A [title] B   c [sub\nstep] [x][y]d "))
                .isEqualTo(" A. B  c [sub\nstep] d");
        assertThat(TextOperation.SPACES.apply("a_b_c")).isEqualTo("a b c");
    }

    @Test
    void saysWhatIsMissingOrWrong() {
        assertWrong("{b}", "expected a field \"b\", found [a, n, f, list, in, no, yes, braces, ctx_a]");
        assertWrong("{no}", "expected a field \"no\", found [a, n, f, list, in, no, yes, braces, ctx_a]");
        assertWrong("{in.b}", "expected a field \"in.b\", found [a, n, f, list, in, no, yes, braces, ctx_a]");
        assertWrong("{list.2}", "expected a field \"list.2\", found [a, n, f, list, in, no, yes, braces, ctx_a]");
        assertWrong("{list}", "expected a text under \"list\", got [\" x\",\"Y \"]");
        assertWrong("{yes}", "expected a text under \"yes\", got true");
        assertWrong("{a|before_gap}", "\"a\": expected an underscore for what is missing, got \" One two\"");
        assertWrong("{a|connector}", "\"a\": expected \"cause\" or \"effect\", got \" One two\"");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> Template.of("{a}", List.of()).texts(DOCUMENT))
                .withMessage("expected a list under \"a\", got \" One two\"");
    }

    @Test
    void aTemplateWithASlipIsABug() {
        assertThatIllegalArgumentException().isThrownBy(() -> text("{a|stripp}"));
        assertThatIllegalArgumentException().isThrownBy(() -> text("{a")).withMessage("not a place for a field: {a");
        assertThatIllegalArgumentException().isThrownBy(() -> text("{{a}}"));
    }

    private static void assertWrong(String template, String message) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> text(template))
                .withMessage(message);
    }
}
