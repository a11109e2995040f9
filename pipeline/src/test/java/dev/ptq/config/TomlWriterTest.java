package dev.ptq.config;

import static dev.ptq.config.DeclaredKeys.decimal;
import static dev.ptq.config.DeclaredKeys.format;
import static dev.ptq.config.DeclaredKeys.integer;
import static dev.ptq.config.DeclaredKeys.integers;
import static dev.ptq.config.DeclaredKeys.readAll;
import static dev.ptq.config.DeclaredKeys.strings;
import static dev.ptq.config.DeclaredKeys.table;
import static dev.ptq.config.DeclaredKeys.tables;
import static dev.ptq.config.DeclaredKeys.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.tomlj.Toml;
import org.tomlj.TomlArray;
import org.tomlj.TomlParseResult;
import org.tomlj.TomlTable;

class TomlWriterTest {
    private static final String EXPERIMENT = """
            seed = 2

            [model]
            path = 'C:\\models\\tiny'

            [[approximation]]
            method = "l2qer"
            rank = 32
            factor = { format = "mxint", bits = 8, block_size = [16, 1] }

            [quantization.weight]
            format = "mxint"
            bits = 4

            [quantization.attention]
            left = { format = "mxint", bits = 8 }
            right = {}

            [[quantization.override]]
            pattern = 'model\\.layers\\.0\\..*'
            weight = { format = "none" }

            [evaluation]
            baselines = []
            damping = 0.01

            [[evaluation.perplexity]]
            dataset = "europarl"

            [[evaluation.perplexity]]

            [evaluation.tasks]
            """;

    @Test
    void writesConfigsAsAPersonWould() {
        assertThat(TomlWriter.write(read(EXPERIMENT))).isEqualTo(EXPERIMENT);
    }

    @Test
    void writesResolvedConfigsThatReadTheSame() {
        String first = TomlWriter.write(resolved(EXPERIMENT));

        assertThat(first).contains("limit = 100\n").contains("granularity = \"group\"\n");
        assertThat(TomlWriter.write(resolved(first))).isEqualTo(first);
    }

    @Test
    void putsKeysBeforeSections() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put("section", Map.of("x", 1));
        table.put("list", List.of(Map.of()));
        table.put("b", 1);
        table.put("a", 2L);

        assertThat(TomlWriter.write(table)).isEqualTo("b = 1\na = 2\n\n[section]\nx = 1\n\n[[list]]\n");
        assertThat(TomlWriter.write(Map.of())).isEmpty();
    }

    @Test
    void keepsTablesInPlainListsInline() {
        String toml = "a = [{ x = 1, y = { z = [] } }, 2, [{}]]\n";

        assertThat(TomlWriter.write(read(toml))).isEqualTo(toml);
    }

    @Test
    void doesNotSqueezeLongTablesIntoALine() {
        Map<String, Object> table = Map.of("list", List.of(Map.of("inner", Map.of("x", "y".repeat(100)))));

        assertThat(TomlWriter.write(table)).isEqualTo("[[list]]\n\n[list.inner]\nx = \"" + "y".repeat(100) + "\"\n");
    }

    @Test
    void writesNumbersThatKeepTheirTypeAndValue() {
        assertThat(TomlWriter.inline(1.0)).isEqualTo("1.0");
        assertThat(TomlWriter.inline(-0.0)).isEqualTo("-0.0");
        assertThat(TomlWriter.inline(1e-4)).isEqualTo("1.0e-4");
        assertThat(TomlWriter.inline(0.5f)).isEqualTo("0.5");
        assertThat(TomlWriter.inline(Double.NaN)).isEqualTo("nan");
        assertThat(TomlWriter.inline(Double.NEGATIVE_INFINITY)).isEqualTo("-inf");
        for (double number : new double[] {Double.MIN_VALUE, Double.MAX_VALUE, Math.PI, 1e22, 0.1f, 100, -1e-300}) {
            assertThat(read("x = " + TomlWriter.inline(number))).containsEntry("x", number);
        }
    }

    @Test
    void quotesOnlyWhatNeedsIt() {
        assertThat(TomlWriter.inline("plain 'text' # é😀")).isEqualTo("\"plain 'text' # é😀\"");
        assertThat(TomlWriter.inline("model\\.0")).isEqualTo("'model\\.0'");
        assertThat(TomlWriter.inline("it's \\d")).isEqualTo("\"it's \\\\d\"");
        assertThat(TomlWriter.inline("tab\t\\")).isEqualTo("\"tab\\t\\\\\"");
        assertThat(TomlWriter.inline("\"\r\n\0\u007f\u0085")).isEqualTo("\"\\\"\\r\\n\\u0000\\u007f\\u0085\"");
        assertThat(TomlWriter.key("group_size-2")).isEqualTo("group_size-2");
        assertThat(TomlWriter.key(List.of("a.b", "", "c"))).isEqualTo("\"a.b\".\"\".c");
    }

    @Test
    void refusesWhatTomlCannotHold() {
        assertThatThrownBy(() -> TomlWriter.write(Map.of("x", new Object[0])))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("not a TOML value: ");
        assertThatThrownBy(() -> TomlWriter.write(Map.of("x", Map.of(1, 2))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("not the key of a TOML table: 1");
        assertThatThrownBy(() -> TomlWriter.write(Map.of("x", Collections.singletonList(null))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("not a TOML value: null");
    }

    @Test
    void whatIsWrittenReadsBackEqual() {
        for (long seed = 0; seed < 500; seed++) {
            Map<String, Object> table = randomTable(new SplittableRandom(seed), 4);
            String toml = TomlWriter.write(table);
            assertThat(read(toml)).as("seed %d:%n%s", seed, toml).isEqualTo(table);
        }
    }

    private static Map<String, Object> randomTable(SplittableRandom random, int depth) {
        Map<String, Object> table = new LinkedHashMap<>();
        int size = random.nextInt(5);
        for (int i = 0; i < size; i++) {
            table.put(randomText(random), randomValue(random, depth));
        }
        return table;
    }

    private static Object randomValue(SplittableRandom random, int depth) {
        return switch (random.nextInt(depth > 0 ? 9 : 4)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextBoolean();
            case 2 -> randomDouble(random);
            case 3 -> randomText(random);
            case 4, 5 -> randomTable(random, depth - 1);
            case 6, 7 -> randomList(random, true, depth);
            default -> randomList(random, false, depth);
        };
    }

    private static double randomDouble(SplittableRandom random) {
        double number = Double.longBitsToDouble(random.nextLong());
        return Double.isNaN(number) ? 0.5 : number;
    }

    private static List<Object> randomList(SplittableRandom random, boolean ofTables, int depth) {
        List<Object> list = new ArrayList<>();
        int size = random.nextInt(4);
        for (int i = 0; i < size; i++) {
            list.add(ofTables ? randomTable(random, depth - 1) : randomValue(random, depth - 1));
        }
        return list;
    }

    private static String randomText(SplittableRandom random) {
        String[] pieces = {
            "a", "bit", "_", "-", ".", "=", " ", "'", "\"", "\\", "\n", "\r", "\t", "\0", "\u007f", "é", "😀", "#", "]",
            "{", "7"
        };
        StringBuilder text = new StringBuilder();
        int length = random.nextInt(6);
        for (int i = 0; i < length; i++) {
            text.append(pieces[random.nextInt(pieces.length)]);
        }
        return text.toString();
    }

    private static Map<String, Object> read(String toml) {
        TomlParseResult parsed = Toml.parse(toml);
        assertThat(parsed.errors()).as(toml).isEmpty();
        return plain(parsed);
    }

    private static Map<String, Object> plain(TomlTable table) {
        Map<String, Object> plain = new LinkedHashMap<>();
        table.entrySet().forEach(entry -> plain.put(entry.getKey(), plain(entry.getValue())));
        return plain;
    }

    private static Object plain(Object value) {
        if (value instanceof TomlTable table) {
            return plain(table);
        }
        return value instanceof TomlArray array
                ? array.toList().stream().map(TomlWriterTest::plain).toList()
                : value;
    }

    /** Reads a part of an experiment with some defaults. */
    private static Map<String, Object> resolved(String toml) {
        Key<?>[] keys = {
            integer("seed", 0, 9).preset(1),
            table("model", text("path")),
            tables(
                    "approximation",
                    text("method"),
                    decimal("damping", 0, 1).preset(1e-9),
                    table("factor", format("format"), integers("block_size"))),
            table(
                    "evaluation",
                    strings("baselines"),
                    table("tasks", integer("limit", 1, 1000).preset(100))),
            table("quantization", table("weight", text("granularity").preset("group")))
        };
        ConfigTable config = DeclaredKeys.parse(toml, List.of(), keys);
        assertThat(readAll(config, keys)).isNotEmpty();
        return config.resolved();
    }
}
