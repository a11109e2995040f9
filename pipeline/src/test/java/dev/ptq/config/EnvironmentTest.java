package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class EnvironmentTest {
    private final Problems problems = new Problems();

    private Object replaced(String toml) {
        Node.Table document = Node.parse(toml, "c.toml");
        new Environment(Map.of("DATA", "/data", "COST", "$5\\")::get, problems).replaceIn(document);
        return Objects.requireNonNull(Node.plain(document.value()));
    }

    @Test
    void replacesInEveryText() {
        assertThat(replaced("a = '${env:DATA}/x-${env:DATA}'\n[b]\nc = [1, '${env:COST}', { d = '${env:DATA}' }]"))
                .isEqualTo(Node.plain(Node.parse("a = '/data/x-/data'\n[b]\nc = [1, '$5\\', { d = '/data' }]", "c.toml")
                        .value()));
        assertThat(problems.messages()).isEmpty();
    }

    @Test
    void whatIsNotSetIsAProblemOfItsPlace() {
        replaced("a = 1\nb = 'x${env:NO_SUCH}'");
        assertThat(problems.messages())
                .containsExactly(
                        "c.toml:2:1: the environment variable \"NO_SUCH\" is not set; set it, or write the value");
    }

    @Test
    void otherDollarsAreLeftAlone() {
        assertThat(replaced("pattern = 'a{2}$|${x}|$env:DATA'")).isEqualTo(Map.of("pattern", "a{2}$|${x}|$env:DATA"));
    }

    @Test
    void namesWhatATextRefersTo() {
        assertThat(Environment.names("${env:A} ${env:B}\n'${env:A}' ${C}")).containsExactly("A", "B");
    }
}
