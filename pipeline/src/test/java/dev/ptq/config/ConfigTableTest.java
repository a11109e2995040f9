package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assertions.entry;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigTableTest {
    private static final Map<String, Integer> FORMATS = Map.of("mxint", 1, "int", 2, "minifloat", 3);

    @Test
    void readsEveryKindOfValue() {
        ConfigTable table = parse("""
                text = 'C:\\models\\tiny'
                count = 7
                seed = 9007199254740993
                ratio = 0.25
                whole = 2
                on = true
                block_size = [1, 16]
                names = ["a", "b"]
                format = "mxint"
                """);

        assertThat(table.string("text")).isEqualTo("C:\\models\\tiny");
        assertThat(table.integer("count", 0, 10)).isEqualTo(7);
        assertThat(table.longInteger("seed", 0, Long.MAX_VALUE)).isEqualTo(9007199254740993L);
        assertThat(table.decimal("ratio", 0, 1)).isEqualTo(0.25);
        assertThat(table.decimal("whole", 0, 2)).isEqualTo(2.0);
        assertThat(table.flag("on")).isTrue();
        assertThat(table.integers("block_size")).containsExactly(1, 16);
        assertThat(table.strings("names")).containsExactly("a", "b");
        assertThat(table.choice("format", FORMATS)).isEqualTo(1);
        table.finish();
    }

    @Test
    void readsValuesOfAnyKind() {
        ConfigTable table = parse("""
                "a.b" = 3
                text = "x"
                nested = { on = true, list = [1.5, [], {}] }
                list = [1, "two", { three = 3 }]
                """);

        assertThat(table.keys()).containsExactly("a.b", "text", "nested", "list");
        assertThat(table.value("a.b")).isEqualTo(3L);
        assertThat(table.value("text")).isEqualTo("x");
        assertThat(table.value("nested")).isEqualTo(Map.of("on", true, "list", List.of(1.5, List.of(), Map.of())));
        assertThat(table.values("list")).containsExactly(1L, "two", Map.of("three", 3L));
        table.finish();
    }

    @Test
    void someValuesAreOfNoKind() {
        String toml = """
                when = 1979-05-27
                table = { when = [07:32:00] }
                empty = []
                dotted.key = [3]
                one = 3
                times = [1, 07:32:00]
                """;

        assertThat(problems(toml, table -> {
                    List.of("when", "table", "absent").forEach(table::value);
                    List.of("empty", "dotted", "one", "times").forEach(table::values);
                }))
                .containsExactly(
                        "w4.toml:1:1: when: expected a string, number, true or false, a list or a table, got 1979-05-27",
                        "w4.toml:1:1: absent: expected a string, number, true or false, a list or a table, but it is"
                                + " missing",
                        "w4.toml:2:1: table: expected a string, number, true or false, a list or a table, got a table",
                        "w4.toml:3:1: empty: expected a list of values, got []",
                        "w4.toml:4:1: dotted: expected a list of values, got a table; a dotted key stands in quotes here",
                        "w4.toml:5:1: one: expected a list of values, got 3",
                        "w4.toml:6:13: times.1: expected a string, number, true or false, a list or a table, got 07:32");
    }

    @Test
    void fallsBackToDefaultsInAnEmptyFile() {
        ConfigTable table = parse("");

        assertThat(table.string("text", "x")).isEqualTo("x");
        assertThat(table.integer("count", 3, 0, 10)).isEqualTo(3);
        assertThat(table.longInteger("seed", 4, 0, 10)).isEqualTo(4);
        assertThat(table.decimal("ratio", 0.01, 0, 1)).isEqualTo(0.01);
        assertThat(table.flag("on", true)).isTrue();
        assertThat(table.integers("block_size", List.of(1, 16))).containsExactly(1, 16);
        assertThat(table.strings("names", List.of("a"))).containsExactly("a");
        assertThat(table.choice("format", FORMATS, "int")).isEqualTo(2);
        assertThat(table.optionalString("tag")).isEmpty();
        assertThat(table.optionalInteger("limit", 1, 9)).isEmpty();
        assertThat(table.table("model")).isEmpty();
        assertThat(table.tables("approximation")).isEmpty();
        assertThat(table.has("anything")).isFalse();
        table.finish();
    }

    @Test
    void readsOptionalValuesThatAreThere() {
        ConfigTable table = parse("tag = 'x'\nlimit = 5");

        assertThat(table.has("tag")).isTrue();
        assertThat(table.optionalString("tag")).isEqualTo(Optional.of("x"));
        assertThat(table.optionalInteger("limit", 1, 9)).isEqualTo(OptionalInt.of(5));
        table.finish();
    }

    @Test
    void reportsEveryProblemWithItsPosition() {
        String toml = """
                [quantization.weight]
                format = "mxitn"
                bits = 9
                gruop_size = 128
                """;

        assertThat(problems(toml, config -> {
                    ConfigTable weight = config.requiredTable("quantization").requiredTable("weight");
                    weight.integer("group_size", 128, 1, 4096);
                    weight.integer("bits", 2, 8);
                    weight.choice("format", FORMATS);
                }))
                .containsExactly(
                        "w4.toml:2:1: quantization.weight.format: expected one of [int, minifloat, mxint],"
                                + " got \"mxitn\"; did you mean \"mxint\"?",
                        "w4.toml:3:1: quantization.weight.bits: expected a whole number from 2 to 8, got 9",
                        "w4.toml:4:1: quantization.weight.gruop_size: unknown key; did you mean \"group_size\"?");
    }

    @Test
    void saysWhatEachKindOfValueMustBe() {
        String toml = """
                a = 1979-05-27
                b = "four"
                c = 2.0
                d = "half"
                e = "yes"
                f = 16
                g = "lambada"
                h = 3
                i = []
                j = { x = 1 }
                k = [{ x = 1 }]
                l = 1979-05-27T07:32:00Z
                """;

        assertThat(problems(toml, table -> {
                    table.string("a");
                    table.integer("b", 2, 8);
                    table.integer("c", 2, 8);
                    table.decimal("d", 0, 1);
                    table.flag("e");
                    table.integers("f");
                    table.strings("g");
                    table.requiredTable("h");
                    table.choice("i", FORMATS);
                    table.string("j");
                    table.string("k");
                    table.optionalInteger("l", 1, 2);
                }))
                .containsExactly(
                        "w4.toml:1:1: a: expected a string, got 1979-05-27",
                        "w4.toml:2:1: b: expected a whole number from 2 to 8, got \"four\"",
                        "w4.toml:3:1: c: expected a whole number from 2 to 8, got 2.0",
                        "w4.toml:4:1: d: expected a number from 0 to 1, got \"half\"",
                        "w4.toml:5:1: e: expected true or false, got \"yes\"",
                        "w4.toml:6:1: f: expected a list of whole numbers, got 16",
                        "w4.toml:7:1: g: expected a list of strings, got \"lambada\"",
                        "w4.toml:8:1: h: expected a table, got 3",
                        "w4.toml:9:1: i: expected one of [int, minifloat, mxint], got []",
                        "w4.toml:10:1: j: expected a string, got a table",
                        "w4.toml:11:1: k: expected a string, got a list of tables",
                        "w4.toml:12:1: l: expected a whole number from 1 to 2, got 1979-05-27T07:32Z");
    }

    @Test
    void reportsMissingKeysWhereTheirTableIs() {
        String toml = "\n[model]\n[quantization]\nweight = { bits = 4 }";

        assertThat(problems(toml, config -> {
                    config.requiredTable("model").string("path");
                    config.requiredTable("evaluation").string("nothing in a missing table is reported");
                    config.requiredTable("quantization").requiredTable("weight").integer("group_size", 1, 64);
                    config.requiredTable("quantization").requiredTable("weight").integer("bits", 2, 8);
                    config.strings("names");
                    config.choice("format", FORMATS);
                }))
                .containsExactly(
                        "w4.toml:1:1: evaluation: expected a table, but it is missing",
                        "w4.toml:1:1: names: expected a list of strings, but it is missing",
                        "w4.toml:1:1: format: expected one of [int, minifloat, mxint], but it is missing",
                        "w4.toml:2:1: model.path: expected a string, but it is missing",
                        "w4.toml:4:1: quantization.weight.group_size: expected a whole number from 1 to 64,"
                                + " but it is missing");
    }

    @Test
    void saysOnlyTheBoundsThatMatter() {
        String toml = """
                a = 0
                b = 99999999999
                c = -9
                d = 0.5
                e = -0.1
                f = inf
                g = nan
                h = -inf
                i = 2e10
                j = 5
                k = -5
                """;

        assertThat(problems(toml, table -> {
                    table.integer("a", 1, Integer.MAX_VALUE);
                    table.integer("b", 1, Integer.MAX_VALUE);
                    table.longInteger("c", 0, Long.MAX_VALUE);
                    table.decimal("d", 1, Double.MAX_VALUE);
                    table.decimal("e", 0, Double.POSITIVE_INFINITY);
                    table.decimal("f", 0, Double.POSITIVE_INFINITY);
                    table.decimal("g", 0.5, 1.5);
                    table.decimal("h", Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
                    table.decimal("i", Double.NEGATIVE_INFINITY, 1e-3);
                    table.integer("j", Integer.MIN_VALUE, 4);
                    table.longInteger("k", 0, 1L << 40);
                }))
                .containsExactly(
                        "w4.toml:1:1: a: expected a whole number of at least 1, got 0",
                        "w4.toml:2:1: b: expected a whole number from 1 to 2147483647, got 99999999999",
                        "w4.toml:3:1: c: expected a whole number of at least 0, got -9",
                        "w4.toml:4:1: d: expected a number of at least 1, got 0.5",
                        "w4.toml:5:1: e: expected a number of at least 0, got -0.1",
                        "w4.toml:6:1: f: expected a finite number of at least 0, got inf",
                        "w4.toml:7:1: g: expected a finite number from 0.5 to 1.5, got nan",
                        "w4.toml:8:1: h: expected a finite number, got -inf",
                        "w4.toml:9:1: i: expected a number of at most 0.001, got 2.0e10",
                        "w4.toml:10:1: j: expected a whole number of at most 4, got 5",
                        "w4.toml:11:1: k: expected a whole number from 0 to 1099511627776, got -5");
    }

    @Test
    void pointsAtTheElementOfAList() {
        String toml = "block_size = [1, 'x',\n  99999999999]\nnames = ['a', [2, {b = 1}], 3]";

        assertThat(problems(toml, table -> {
                    table.integers("block_size");
                    table.strings("names");
                }))
                .containsExactly(
                        "w4.toml:1:18: block_size.1: expected a whole number, got \"x\"",
                        "w4.toml:2:3: block_size.2: expected a whole number of at most 2147483647, got 99999999999",
                        "w4.toml:3:15: names.1: expected a string, got a list of tables",
                        "w4.toml:3:29: names.2: expected a string, got 3");
    }

    @Test
    void standsInForWhatIsWrong() {
        ConfigTable table =
                parse("count = 'x'\nratio = 'x'\ntext = 1\nformat = 'INT'\nlimit = 0\nside = -1\nkind = 'zzzzzz'");

        assertThat(table.integer("count", 2, 8)).isEqualTo(2);
        assertThat(table.integer("missing", 2, 8)).isEqualTo(2);
        assertThat(table.decimal("ratio", 0.5, 0.1, 1)).isEqualTo(0.5);
        assertThat(table.decimal("missing", Double.NEGATIVE_INFINITY, 1)).isZero();
        assertThat(table.string("text")).isEmpty();
        assertThat(table.choice("format", FORMATS)).as("what was meant").isEqualTo(2);
        assertThat(table.choice("kind", FORMATS, "mxint")).as("the default").isEqualTo(1);
        assertThat(table.choice("none", FORMATS)).as("the first name").isEqualTo(2);
        assertThat(table.optionalInteger("limit", 1, 9)).isEmpty();
        assertThat(table.integers("sizes")).isEmpty();
        assertThat(table.flag("on")).isFalse();
        assertThat(table.requiredTable("side").path()).isEqualTo("side");
        assertThat(table.requiredTable("side").tables("steps")).isEmpty();
    }

    @Test
    void doesNotGuessAboutATableWhoseFormatIsUnknown() {
        String toml = "format = 'float128'\nexponent_bits = 4\nbts = 3\nbits = 'x'";

        assertThat(problems(toml, table -> {
                    table.choice("format", FORMATS);
                    table.integer("bits", 2, 8);
                    table.string("granularity");
                }))
                .containsExactly(
                        "w4.toml:1:1: format: expected one of [int, minifloat, mxint], got \"float128\"",
                        "w4.toml:2:1: exponent_bits: unknown key",
                        "w4.toml:3:1: bts: unknown key; did you mean \"bits\"?",
                        "w4.toml:4:1: bits: expected a whole number from 2 to 8, got \"x\"");
    }

    @Test
    void listsTheKnownKeysWhenNoneIsClose() {
        assertThat(problems("colour = 1", table -> {
                    table.integer("seed", 0, 0, 9);
                    table.table("model");
                }))
                .containsExactly("w4.toml:1:1: colour: unknown key; expected one of [seed, model]");
        assertThat(problems("colour = 1", table -> {})).containsExactly("w4.toml:1:1: colour: unknown key");
        assertThat(problems("colour = 1", table -> {
                    for (int i = 0; i < 12; i++) {
                        table.optionalString("key" + i);
                    }
                }))
                .containsExactly("w4.toml:1:1: colour: unknown key");
    }

    @Test
    void reportsAnUnreadTableOnce() {
        String toml =
                "[quantisation.weight]\nbits = 4\n[quantisation.bias]\nbits = 4\n[[steps]]\nx = 1\n[[steps]]\ny = 2";

        assertThat(problems(toml, config -> {
                    config.table("quantization");
                    config.tables("steps").forEach(step -> step.optionalInteger("x", 0, 9));
                }))
                .containsExactly(
                        "w4.toml:1:1: quantisation: unknown key; did you mean \"quantization\"?",
                        "w4.toml:8:1: steps.1.y: unknown key; expected one of [x]");
    }

    @Test
    void aKeyThatWasOnlyLookedForIsNotUsed() {
        assertThat(problems("rank = 3", table -> assertThat(table.has("rank")).isTrue()))
                .containsExactly("w4.toml:1:1: rank: not used here; remove it");
    }

    @Test
    void reportsAKeyThatIsReadTwiceOnce() {
        assertThat(problems("bits = 9", table -> {
                    table.integer("bits", 2, 8);
                    table.integer("bits", 2, 8);
                }))
                .hasSize(1);
    }

    @Test
    void reportsProblemsOfTheCaller() {
        String toml = "[a]\n\"b.c\" = { d = 1 }";

        assertThat(problems(toml, config -> {
                    ConfigTable inner = config.requiredTable("a").requiredTable("b.c");
                    assertThat(inner.path()).isEqualTo("a.\"b.c\"");
                    assertThat(inner.position("d")).isEqualTo(new Position("w4.toml", 2, 11));
                    assertThat(inner.position("absent")).isEqualTo(new Position("w4.toml", 2, 1));
                    inner.problem("d", "is not prime");
                    inner.problem("absent", "is needed for d");
                    inner.problem("is empty");
                    config.problem("needs a model");
                }))
                .containsExactly(
                        "w4.toml:1:1: needs a model",
                        "w4.toml:2:1: a.\"b.c\".absent: is needed for d",
                        "w4.toml:2:1: a.\"b.c\": is empty",
                        "w4.toml:2:11: a.\"b.c\".d: is not prime");
    }

    @Test
    void readsListsOfTablesHoweverTheyAreWritten() {
        String toml = """
                inline = [{ rank = 1 }, { rank = 2 }]
                empty = []
                [[steps]]
                rank = 3
                [steps.factor]
                bits = 4
                [[steps]]
                rank = 5
                """;
        ConfigTable config = parse(toml);

        assertThat(config.tables("inline"))
                .extracting(step -> step.integer("rank", 0, 9))
                .containsExactly(1, 2);
        assertThat(config.tables("empty")).isEmpty();
        assertThat(config.tables("steps"))
                .extracting(step -> step.integer("rank", 0, 9))
                .containsExactly(3, 5);
        ConfigTable factor = config.tables("steps").get(0).requiredTable("factor");
        assertThat(factor.integer("bits", 0, 9)).isEqualTo(4);
        assertThat(factor.path()).isEqualTo("steps.0.factor");
        config.finish();
    }

    @Test
    void reportsWhatIsNotAListOfTables() {
        String toml = "a = 3\nb = [{}, 1]\nc = [2]\n[d.steps]\nrank = 1\n[[e]]";

        assertThat(problems(toml, config -> {
                    config.tables("a");
                    config.tables("b");
                    config.tables("c");
                    config.requiredTable("d").tables("steps");
                    config.table("e");
                }))
                .containsExactly(
                        "w4.toml:1:1: a: expected a list of tables, got 3",
                        "w4.toml:2:10: b.1: expected a table, got 1",
                        "w4.toml:3:6: c.0: expected a table, got 2",
                        "w4.toml:4:1: d.steps: expected a list of tables, got a table; write [[d.steps]]",
                        "w4.toml:6:1: e: expected a table, got a list of tables");
    }

    @Test
    void readsAPresetForATableThatIsLeftOut() {
        ConfigTable config = parse("a = { bits = 3 }\nb = 4");
        String preset = "bits = 8\nsize = [16, 1]";

        assertThat(config.table("a", preset).integer("bits", 2, 9)).isEqualTo(3);
        ConfigTable absent = config.table("c", preset);
        assertThat(absent.path()).isEqualTo("c");
        assertThat(absent.integer("bits", 2, 9)).isEqualTo(8);
        assertThat(absent.integers("size")).containsExactly(16, 1);
        assertThat(config.resolved())
                .containsExactly(
                        entry("a", Map.of("bits", 3L)), entry("c", Map.of("bits", 8L, "size", List.of(16L, 1L))));
        config.table("b", preset);
        assertThatThrownBy(config::finish).hasMessage("w4.toml:2:1: b: expected a table, got 4");
    }

    @Test
    void readsListsOfNames() {
        Map<String, Integer> one = Map.of("a", 1);
        ConfigTable config = parse("given = ['mxint', 'int', 'mxint']\nempty = []");
        assertThat(config.choices("given", FORMATS, List.of())).containsExactly(1, 2, 1);
        assertThat(config.choices("empty", FORMATS, List.of("int"))).isEmpty();
        assertThat(config.choices("absent", FORMATS, List.of("int"))).containsExactly(2);
        assertThat(config.resolved()).containsEntry("absent", List.of("int"));

        assertThat(problems("names = ['mxitn', 3, 'zzz']\nother = 'a'\nwrong = ['zzz']", table -> {
                    assertThat(table.choices("names", FORMATS, List.of("int")))
                            .as("what was meant")
                            .containsExactly(1);
                    assertThat(table.choices("other", one, List.of("a"))).containsExactly(1);
                    assertThat(table.choices("wrong", one, List.of("a")))
                            .as("the default")
                            .containsExactly(1);
                }))
                .containsExactly(
                        "w4.toml:1:10: names.0: expected one of [int, minifloat, mxint], got \"mxitn\"; did you mean"
                                + " \"mxint\"?",
                        "w4.toml:1:19: names.1: expected one of [int, minifloat, mxint], got 3",
                        "w4.toml:1:22: names.2: expected one of [int, minifloat, mxint], got \"zzz\"",
                        "w4.toml:2:1: other: expected a list, each one of [a], got \"a\"",
                        "w4.toml:3:10: wrong.0: expected one of [a], got \"zzz\"");
    }

    @Test
    void whatIsWrongFromTheStartIsOneProblem() {
        assertThat(problems("a = 'x'\nb = 9", table -> {
                    table.integer("a", 2, 8);
                    table.problem("a", "2 is too small here");
                    table.integer("b", 2, 9);
                    table.problem("b", "9 is too large here");
                    table.string("c");
                    table.problem("c", "\"\" is no file");
                }))
                .containsExactly(
                        "w4.toml:1:1: a: expected a whole number from 2 to 8, got \"x\"",
                        "w4.toml:1:1: c: expected a string, but it is missing",
                        "w4.toml:2:1: b: 9 is too large here");
    }

    @Test
    void resolvesToTheValuesUsedInReadingOrder() {
        ConfigTable config = parse("format = 'mxint'\nunread = 1\n[[steps]]\nrank = 3\n[b]\n[model]\npath = 'x'");
        config.requiredTable("model").string("path");
        config.requiredTable("model").flag("fast", false);
        config.choice("format", FORMATS);
        config.choice("other", FORMATS, "int");
        config.integer("seed", 2, 0, 9);
        config.optionalInteger("limit", 0, 9);
        config.optionalString("tag");
        config.table("absent");
        config.tables("none");
        config.has("unread");
        config.integers("block_size", List.of(1, 16));
        config.decimal("damping", 1, 0, 1);
        config.tables("steps").forEach(step -> step.integer("rank", 0, 9));
        config.table("b");

        assertThat(config.resolved())
                .containsExactly(
                        entry("model", Map.of("path", "x", "fast", false)),
                        entry("format", "mxint"),
                        entry("other", "int"),
                        entry("seed", 2L),
                        entry("block_size", List.of(1L, 16L)),
                        entry("damping", 1.0),
                        entry("steps", List.of(Map.of("rank", 3L))),
                        entry("b", Map.of()));
    }

    @Test
    void reportsEverySyntaxErrorInOrder() {
        assertThatThrownBy(() -> parse("a = 1\na = 2\nb =\n[x]\n[x]\ny = 99999999999999999999\n"))
                .isInstanceOf(ConfigException.class)
                .hasMessage("""
                        w4.toml:2:1: a previously defined at line 1, column 1
                        w4.toml:3:4: Unexpected end of line, expected a value
                        w4.toml:5:1: x previously defined at line 4, column 1
                        w4.toml:6:5: Integer is too large""");
    }

    @Test
    void countsLinesAndColumnsAsAnEditorDoes() {
        String toml = "# é😀\r\n\"größe 😀\" = 1\r\n  [ t ]\r\n  'é' = { a = 1, b = 2 }\r\n\tx.y = 3\r\n";

        assertThat(problems(
                        toml,
                        config -> config.requiredTable("t").requiredTable("é").optionalInteger("z", 0, 1)))
                .containsExactly(
                        "w4.toml:2:1: \"größe 😀\": unknown key; expected one of [t]",
                        "w4.toml:4:11: t.\"é\".a: unknown key; expected one of [z]",
                        "w4.toml:4:18: t.\"é\".b: unknown key; expected one of [z]",
                        "w4.toml:5:2: t.x: unknown key; expected one of [é]");
    }

    @Test
    void readsDeepNesting() {
        ConfigTable table = parse("a.".repeat(59) + "a = { b = " + "[".repeat(60) + "]".repeat(60) + " }");
        for (int i = 0; i < 60; i++) {
            table = table.requiredTable("a");
        }
        assertThat(table.has("b")).isTrue();
        assertThat(table.path()).hasSize(119);
    }

    @Test
    void cutsLongValuesInMessages() {
        assertThat(problems("a = '" + "😀".repeat(500) + "'\nb = [1, 2020-01-01, { c = 1 }]\nc = 'x\ty\\z'", table -> {
                    table.integer("a", 0, 1);
                    table.integer("c", 0, 1);
                    table.integer("b", 0, 1);
                }))
                .containsExactly(
                        "w4.toml:1:1: a: expected a whole number from 0 to 1, got \"" + "😀".repeat(78) + "…",
                        "w4.toml:2:1: b: expected a whole number from 0 to 1, got a list of tables",
                        "w4.toml:3:1: c: expected a whole number from 0 to 1, got \"x\\ty\\\\z\"");
    }

    @Test
    void readsAFileWithOverrides(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("w4.toml"), "\ufeffseed = 1\nbits = 9\n");
        ConfigTable config = ConfigTable.read(file, List.of("seed=3"));

        assertThat(config.integer("seed", 0, 9)).isEqualTo(3);
        config.integer("bits", 2, 8);
        assertThatThrownBy(config::finish).hasMessage(file + ":2:1: bits: expected a whole number from 2 to 8, got 9");
    }

    @Test
    void refusesFilesThatAreNotText(@TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve("w4.toml"), "é = 1".getBytes(StandardCharsets.ISO_8859_1));

        assertThatThrownBy(() -> ConfigTable.read(file, List.of()))
                .isInstanceOf(ConfigException.class)
                .hasMessage(file + ": expected text in UTF-8");
        assertThatThrownBy(() -> ConfigTable.read(folder.resolve("none.toml"), List.of()))
                .isInstanceOf(NoSuchFileException.class);
    }

    @Test
    void aDefaultThatIsNoChoiceIsOurBug() {
        assertThatThrownBy(() -> parse("").choice("format", FORMATS, "fp8"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("default is not among the choices: fp8");
    }

    static List<String> problems(String toml, Consumer<ConfigTable> reading) {
        return problems(toml, List.of(), reading);
    }

    static List<String> problems(String toml, List<String> overrides, Consumer<ConfigTable> reading) {
        ConfigTable config = ConfigTable.parse(toml, "w4.toml", overrides);
        reading.accept(config);
        ConfigException exception = Objects.requireNonNull(catchThrowableOfType(ConfigException.class, config::finish));
        assertThat(exception).hasMessage(String.join("\n", exception.problems()));
        return exception.problems();
    }

    private static ConfigTable parse(String toml) {
        return ConfigTable.parse(toml, "w4.toml", List.of());
    }
}
