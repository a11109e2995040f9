package dev.ptq.lqer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Node;
import dev.ptq.config.Position;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PythonLiteralTest {
    private static final Position PLACE = new Position("w4.toml", 3, 5);

    @Test
    void readsADeviceMap() {
        assertThat(parsed("{'model.embed_tokens': 0, \"model.layers.0\" :'cpu',\n 'lm_head': None, 7: [True, False],}"))
                .isEqualTo(Map.of(
                        "model.embed_tokens", 0L, "model.layers.0", "cpu", "lm_head", "NA", "7", List.of(true, false)));
    }

    @Test
    void keepsTheOrderOfADict() {
        assertThat(((Map<?, ?>) parsed("{'b': 1, 'a': 2, 'b': 3}")).toString()).isEqualTo("{b=3, a=2}");
    }

    @Test
    void tellsTuplesFromParentheses() {
        assertThat(parsed("()")).isEqualTo(List.of());
        assertThat(parsed("(1)")).isEqualTo(1L);
        assertThat(parsed("(1,)")).isEqualTo(List.of(1L));
        assertThat(parsed("((1, 2), [3,], {})")).isEqualTo(List.of(List.of(1L, 2L), List.of(3L), Map.of()));
        assertThat(parsed("([1,])")).isEqualTo(List.of(1L));
        assertThat(parsed("1, 16")).isEqualTo(List.of(1L, 16L));
        assertThat(parsed("'a',")).isEqualTo(List.of("a"));
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0",
        "00, 0",
        "-1, -1",
        "+ 12, 12",
        "1_000, 1000",
        "0xfF, 255",
        "0o17, 15",
        "0B1_0, 2",
        "-9223372036854775808, -9223372036854775808"
    })
    void readsWholeNumbers(String text, long number) {
        assertThat(parsed(text)).isEqualTo(number);
    }

    @ParameterizedTest
    @CsvSource({"1., 1", ".5, 0.5", "1e3, 1000", "-2.5E-1, -0.25", "1_0.0_1, 10.01", "07.5, 7.5", "1e400, Infinity"})
    void readsDecimals(String text, double number) {
        assertThat(parsed(text)).isEqualTo(number);
    }

    @Test
    void readsEscapes() {
        assertThat(parsed("'a\\'\\\"\\\\\\n\\t'")).isEqualTo("a'\"\\\n\t");
        assertThat(parsed("\"it's\"")).isEqualTo("it's");
        assertThat(parsed("'\\x41\\u00e9\\U0001F600\\101\\0'")).isEqualTo("Aé\ud83d\ude00A\0");
        assertThat(parsed("'one \\\nline'")).isEqualTo("one line");
    }

    /** As Python does, or a regular expression would have to be written twice as long. */
    @Test
    void keepsABackslashThatEscapesNothing() {
        assertThat(parsed("'model\\.layers\\.[0-9]+'")).isEqualTo("model\\.layers\\.[0-9]+");
        assertThat(parsed("r'\\d\\'\\n'")).isEqualTo("\\d\\'\\n");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "  ",
                "{",
                "{'a'",
                "{'a':",
                "{'a': 1",
                "{'a' 1}",
                "{1, 2}",
                "{[1]: 2}",
                "{**{}}",
                "[1",
                "[1 2]",
                "[,]",
                "(,)",
                "[1)",
                "1 2",
                "'a' 'b'",
                "'a",
                "'a\nb'",
                "'\\x4'",
                "'\\u12'",
                "'\\U00110000'",
                "'\\N{DASH}'",
                "'\\ud800'",
                "b'a'",
                "u'a'",
                "f'{x}'",
                "01",
                "1__0",
                "1_",
                "0x",
                "1e",
                "1j",
                "1.2.3",
                "--1",
                "-True",
                "1 + 2",
                "2 ** 9",
                "9223372036854775808",
                "true",
                "null",
                "nan",
                "Nonesuch",
                "print(1)",
                "__import__('os').system('ls')",
                "[x for x in ()]",
                "lambda: 0",
                "open",
                "# 1"
            })
    void refusesEverythingElse(String text) {
        assertThatThrownBy(() -> parsed(text))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("w4.toml:3:5: profile.device_map: expected ")
                .hasMessageContaining(" of the Python literal, got ");
    }

    @Test
    void saysWhereAndWhat() {
        assertThatThrownBy(() -> parsed("{'lm_head' 0}"))
                .hasMessage("w4.toml:3:5: profile.device_map: expected a colon at character 12 of the Python literal,"
                        + " got \"0}\"");
        assertThatThrownBy(() -> parsed("[1, 2"))
                .hasMessage("w4.toml:3:5: profile.device_map: expected a comma or ] at character 6 of the Python"
                        + " literal, got its end");
    }

    @Test
    void staysShallow() {
        assertThat(parsed("[".repeat(100) + "]".repeat(100))).isInstanceOf(List.class);
        assertThatThrownBy(() -> parsed("[".repeat(100_000))).hasMessageContaining("at most 100 brackets");
    }

    @Test
    void readsWhatPythonWouldPrint() {
        for (int seed = 0; seed < 300; seed++) {
            Object value = random(new SplittableRandom(seed), 4);
            assertThat(parsed(printed(value)))
                    .as("seed %d: %s", seed, printed(value))
                    .isEqualTo(value);
        }
    }

    private static Object random(SplittableRandom random, int depth) {
        return switch (random.nextInt(depth == 0 ? 4 : 7)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextDouble(-1e9, 1e9);
            case 2 -> random.nextBoolean();
            case 3 -> text(random);
            case 4, 5 -> {
                List<Object> list = new ArrayList<>();
                for (int i = random.nextInt(4); i > 0; i--) {
                    list.add(random(random, depth - 1));
                }
                yield list;
            }
            default -> {
                Map<String, Object> dict = new LinkedHashMap<>();
                for (int i = random.nextInt(4); i > 0; i--) {
                    dict.put(text(random), random(random, depth - 1));
                }
                yield dict;
            }
        };
    }

    private static String text(SplittableRandom random) {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(8); i > 0; i--) {
            text.append("ab'\"\\\n {}[](),:.é".charAt(random.nextInt(17)));
        }
        return text.toString();
    }

    private static String printed(Object value) {
        if (value instanceof String text) {
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'";
        }
        if (value instanceof Boolean flag) {
            return flag ? "True" : "False";
        }
        if (value instanceof List<?> list) {
            return "["
                    + String.join(
                            ", ", list.stream().map(PythonLiteralTest::printed).toList()) + "]";
        }
        if (value instanceof Map<?, ?> map) {
            List<String> entries = new ArrayList<>();
            map.forEach((key, each) -> entries.add(printed(key) + ": " + printed(each)));
            return "{" + String.join(", ", entries) + "}";
        }
        return value.toString();
    }

    private static Object parsed(String text) {
        return plain(PythonLiteral.parse(text, PLACE, "profile.device_map"));
    }

    private static Object plain(Node node) {
        if (node instanceof Node.Items items) {
            return items.value().stream().map(PythonLiteralTest::plain).toList();
        }
        if (node instanceof Node.Table table) {
            Map<String, Object> plain = new LinkedHashMap<>();
            table.value().forEach((key, value) -> plain.put(key, plain(value)));
            return plain;
        }
        return node.value();
    }
}
