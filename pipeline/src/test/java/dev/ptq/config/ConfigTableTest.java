package dev.ptq.config;

import static dev.ptq.config.DeclaredKeys.FORMATS;
import static dev.ptq.config.DeclaredKeys.decimal;
import static dev.ptq.config.DeclaredKeys.flag;
import static dev.ptq.config.DeclaredKeys.format;
import static dev.ptq.config.DeclaredKeys.formats;
import static dev.ptq.config.DeclaredKeys.integer;
import static dev.ptq.config.DeclaredKeys.integers;
import static dev.ptq.config.DeclaredKeys.longInteger;
import static dev.ptq.config.DeclaredKeys.optionalInteger;
import static dev.ptq.config.DeclaredKeys.optionalTable;
import static dev.ptq.config.DeclaredKeys.optionalText;
import static dev.ptq.config.DeclaredKeys.readAll;
import static dev.ptq.config.DeclaredKeys.strings;
import static dev.ptq.config.DeclaredKeys.table;
import static dev.ptq.config.DeclaredKeys.tables;
import static dev.ptq.config.DeclaredKeys.text;
import static dev.ptq.config.DeclaredKeys.value;
import static dev.ptq.config.DeclaredKeys.values;
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
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigTableTest {
    private static final Section BITS_AND_SIZE = Section.of("format", integer("bits", 2, 9), integers("size"));

    @Test
    void readsEveryKindOfValue() {
        assertThat(read(
                        """
                        text = 'C:\\models\\tiny'
                        count = 7
                        seed = 9007199254740993
                        ratio = 0.25
                        whole = 2
                        on = true
                        block_size = [1, 16]
                        names = ["a", "b"]
                        format = "mxint"
                        """,
                        text("text"),
                        integer("count", 0, 10),
                        longInteger("seed", 0, Long.MAX_VALUE),
                        decimal("ratio", 0, 1),
                        decimal("whole", 0, 2),
                        flag("on"),
                        integers("block_size"),
                        strings("names"),
                        format("format")))
                .containsExactly(
                        "C:\\models\\tiny",
                        7,
                        9007199254740993L,
                        0.25,
                        2.0,
                        true,
                        List.of(1, 16),
                        List.of("a", "b"),
                        1);
    }

    @Test
    void readsValuesOfAnyKind() {
        String toml = """
                "a.b" = 3
                text = "x"
                nested = { on = true, list = [1.5, [], {}] }
                list = [1, "two", { three = 3 }]
                """;

        assertThat(parse(toml).keys()).containsExactly("a.b", "text", "nested", "list");
        assertThat(read(toml, value("a.b"), value("text"), value("nested"), values("list")))
                .containsExactly(
                        3L,
                        "x",
                        Map.of("on", true, "list", List.of(1.5, List.of(), Map.of())),
                        List.of(1L, "two", Map.of("three", 3L)));
    }

    @Test
    void tellsWhatIsWrittenBeforeItIsRead() {
        ConfigTable table = parse("names = []\nwhen = 1979-05-27", strings("names"), text("when"), text("tag"));

        assertThat(table.written(strings("names"))).isEqualTo(Optional.of(List.of()));
        assertThat(table.written(text("when"))).isEmpty();
        assertThat(table.written(text("tag"))).isEmpty();
        assertThatThrownBy(table::finish).hasMessage("""
                w4.toml:1:1: names: not used here; remove it
                w4.toml:2:1: when: not used here; remove it""");
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

        assertThat(problems(
                        toml,
                        value("when"),
                        value("table"),
                        value("absent"),
                        values("empty"),
                        values("dotted"),
                        values("one"),
                        values("times")))
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
        assertThat(read(
                        "",
                        text("text").preset("x"),
                        integer("count", 0, 10).preset(3),
                        longInteger("seed", 0, 10).preset(4L),
                        decimal("ratio", 0, 1).preset(0.01),
                        flag("on").preset(true),
                        integers("block_size").preset(List.of(1, 16)),
                        strings("names").preset(List.of("a")),
                        format("format").preset(2),
                        optionalText("tag"),
                        optionalInteger("limit", 1, 9),
                        optionalTable("model"),
                        tables("approximation")))
                .containsExactly(
                        "x",
                        3,
                        4L,
                        0.01,
                        true,
                        List.of(1, 16),
                        List.of("a"),
                        2,
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty());
        assertThat(parse("", text("anything")).has(text("anything"))).isFalse();
    }

    @Test
    void readsOptionalValuesThatAreThere() {
        ConfigTable table = parse("tag = 'x'\nlimit = 5", optionalText("tag"), optionalInteger("limit", 1, 9));

        assertThat(table.has(optionalText("tag"))).isTrue();
        assertThat(readAll(table, optionalText("tag"), optionalInteger("limit", 1, 9)))
                .containsExactly(Optional.of("x"), Optional.of(5));
        table.finish();
    }

    @Test
    void aDefaultMayBeDecidedWhereTheKeyIsRead() {
        Key<Integer> bias = integer("bias", 0, 9).presetIs("2^bits");
        Key<Integer> format = format("format").presetIs("by use");

        assertThat(parse("", bias).read(bias, 4)).isEqualTo(4);
        assertThat(parse("bias = 3", bias).read(bias, 4)).isEqualTo(3);
        assertThat(parse("", format).read(format, FORMATS.only(List.of(2, 3)), 3))
                .isEqualTo(3);
        ConfigTable table = parse("format = 'mxint'", format);
        assertThat(table.read(format, FORMATS.only(List.of(2, 3)), 3)).isEqualTo(3);
        assertThatThrownBy(table::finish)
                .hasMessage("w4.toml:1:1: format: expected one of [int, minifloat], got \"mxint\"");
        assertThatThrownBy(() -> parse("", bias).read(bias))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("the default of bias is for the reader to give");
        Key<Integer> own = bias.preset(3);
        assertThatThrownBy(() -> parse("", own).read(own, 4))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("bias has a default of its own, or has to be there");
    }

    @Test
    void refusesKeysThatAreNotDeclaredAsTheyAreRead() {
        ConfigTable table = parse("bits = 4", integer("bits", 2, 8), text("tag"));

        List.<Key<?>>of(
                        integer("rank", 2, 8),
                        integer("bits", 2, 9),
                        integer("bits", 2, 8).preset(4))
                .forEach(key -> assertThatThrownBy(() -> table.read(key))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessage("section file does not declare the key " + key.name() + " as it is read"));
        assertThatThrownBy(() -> table.has(text("bits"))).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> table.written(text("bits"))).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> table.refuse(text("bits"), "no")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> table.problem(text("bits"), "no")).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> table.problem("rank", "no"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("section file does not declare the key rank");
        assertThat(table.read(integer("bits", 2, 8))).isEqualTo(4);
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

        assertThat(problems(
                        toml,
                        table(
                                "quantization",
                                table(
                                        "weight",
                                        integer("group_size", 1, 4096).preset(128),
                                        integer("bits", 2, 8),
                                        format("format")))))
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

        assertThat(problems(
                        toml,
                        text("a"),
                        integer("b", 2, 8),
                        integer("c", 2, 8),
                        decimal("d", 0, 1),
                        flag("e"),
                        integers("f"),
                        strings("g"),
                        table("h"),
                        format("i"),
                        text("j"),
                        text("k"),
                        optionalInteger("l", 1, 2)))
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

        assertThat(problems(
                        toml,
                        table("model", text("path")),
                        table("evaluation", text("nothing in a missing table is reported")),
                        table("quantization", table("weight", integer("group_size", 1, 64), integer("bits", 2, 8))),
                        strings("names"),
                        format("format")))
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

        assertThat(problems(
                        toml,
                        Key.integer("a").from(1).says("a"),
                        Key.integer("b").from(1).says("b"),
                        Key.longInteger("c").from(0L).says("c"),
                        Key.decimal("d").from(1.0).says("d"),
                        Key.decimal("e").from(0.0).says("e"),
                        Key.decimal("f").from(0.0).says("f"),
                        decimal("g", 0.5, 1.5),
                        Key.decimal("h").says("h"),
                        Key.decimal("i").to(1e-3).says("i"),
                        Key.integer("j").to(4).says("j"),
                        longInteger("k", 0, 1L << 40)))
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

        assertThat(problems(toml, integers("block_size"), strings("names")))
                .containsExactly(
                        "w4.toml:1:18: block_size.1: expected a whole number, got \"x\"",
                        "w4.toml:2:3: block_size.2: expected a whole number of at most 2147483647, got 99999999999",
                        "w4.toml:3:15: names.1: expected a string, got a list of tables",
                        "w4.toml:3:29: names.2: expected a string, got 3");
    }

    @Test
    void standsInForWhatIsWrong() {
        String toml = "count = 'x'\nratio = 'x'\ntext = 1\nformat = 'INT'\nlimit = 0\nside = -1\nkind = 'zzzzzz'";
        Key<?>[] keys = {
            integer("count", 2, 8),
            integer("missing", 2, 8),
            decimal("ratio", 0.1, 1).preset(0.5),
            Key.decimal("unbounded").to(1.0).says("a number"),
            text("text"),
            format("format"),
            format("kind").preset(1),
            format("none"),
            optionalInteger("limit", 1, 9),
            integers("sizes"),
            flag("on")
        };

        assertThat(readAll(parse(toml, keys), keys))
                .containsExactly(
                        2,
                        2,
                        0.5,
                        0.0,
                        "", /* was meant */
                        2, /* default */
                        1, /* first name */
                        2,
                        Optional.empty(),
                        List.of(),
                        false);
        Key<List<ConfigTable>> steps = tables("steps");
        Key<ConfigTable> side = table("side", steps);
        ConfigTable standIn = parse(toml, side).read(side);
        assertThat(standIn.path()).isEqualTo("side");
        assertThat(standIn.read(steps)).isEmpty();
    }

    @Test
    void doesNotGuessAboutATableWhoseFormatIsUnknown() {
        String toml = "format = 'float128'\nexponent_bits = 4\nbts = 3\nbits = 'x'";

        assertThat(problems(toml, format("format"), integer("bits", 2, 8), text("granularity")))
                .containsExactly(
                        "w4.toml:1:1: format: expected one of [int, minifloat, mxint], got \"float128\"",
                        "w4.toml:2:1: exponent_bits: unknown key",
                        "w4.toml:3:1: bts: unknown key; did you mean \"bits\"?",
                        "w4.toml:4:1: bits: expected a whole number from 2 to 8, got \"x\"");
    }

    @Test
    void listsTheKnownKeysWhenNoneIsClose() {
        assertThat(problems("colour = 1", integer("seed", 0, 9).preset(0), optionalTable("model")))
                .containsExactly("w4.toml:1:1: colour: unknown key; expected one of [seed, model]");
        assertThat(problems("colour = 1")).containsExactly("w4.toml:1:1: colour: unknown key");
        Key<?>[] many =
                IntStream.range(0, 12).mapToObj(i -> optionalText("key" + i)).toArray(Key<?>[]::new);
        assertThat(problems("colour = 1", many)).containsExactly("w4.toml:1:1: colour: unknown key");
    }

    /** A key that other values of this table would have is as unknown as any. */
    @Test
    void aDeclaredKeyThatWasNotAskedForIsUnknown() {
        Key<String> text = text("colour");
        ConfigTable table = parse("colour = 'red'\nseed = 1", text, integer("seed", 0, 9));
        assertThat(table.read(integer("seed", 0, 9))).isEqualTo(1);

        assertThatThrownBy(table::finish).hasMessage("w4.toml:1:1: colour: unknown key; expected one of [seed]");
    }

    @Test
    void reportsAnUnreadTableOnce() {
        String toml =
                "[quantisation.weight]\nbits = 4\n[quantisation.bias]\nbits = 4\n[[steps]]\nx = 1\n[[steps]]\ny = 2";

        assertThat(problems(toml, optionalTable("quantization"), tables("steps", optionalInteger("x", 0, 9))))
                .containsExactly(
                        "w4.toml:1:1: quantisation: unknown key; did you mean \"quantization\"?",
                        "w4.toml:8:1: steps.1.y: unknown key; expected one of [x]");
    }

    @Test
    void aKeyThatWasOnlyLookedForIsNotUsed() {
        ConfigTable table = parse("rank = 3", integer("rank", 0, 9));

        assertThat(table.has(integer("rank", 0, 9))).isTrue();
        assertThatThrownBy(table::finish).hasMessage("w4.toml:1:1: rank: not used here; remove it");
    }

    @Test
    void reportsAKeyThatIsReadTwiceOnce() {
        assertThat(problems("bits = 9", integer("bits", 2, 8), integer("bits", 2, 8)))
                .hasSize(1);
    }

    @Test
    void reportsProblemsOfTheCaller() {
        Key<ConfigTable> innerKey = table("b.c", text("d"), text("absent"));
        Key<ConfigTable> outerKey = table("a", innerKey);
        ConfigTable config = parse("[a]\n\"b.c\" = { d = 1 }", outerKey);
        ConfigTable inner = config.read(outerKey).read(innerKey);
        assertThat(inner.path()).isEqualTo("a.\"b.c\"");
        assertThat(inner.position("d")).isEqualTo(new Position("w4.toml", 2, 11));
        assertThat(inner.position("absent")).isEqualTo(new Position("w4.toml", 2, 1));
        inner.problem(text("d"), "is not prime");
        inner.problem("absent", "is needed for d");
        inner.problem("is empty");
        config.problem("needs a model");

        assertThatThrownBy(config::finish).hasMessage("""
                w4.toml:1:1: needs a model
                w4.toml:2:1: a."b.c".absent: is needed for d
                w4.toml:2:1: a."b.c": is empty
                w4.toml:2:11: a."b.c".d: is not prime""");
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
        Key<Integer> rank = integer("rank", 0, 9);
        Key<Optional<ConfigTable>> factor = optionalTable("factor", integer("bits", 0, 9));
        Key<List<ConfigTable>> steps = tables("steps", rank, factor);

        assertThat(read(toml, tables("inline", rank), tables("empty", rank), steps))
                .containsExactly(1, 2, 3, 4, 5, Optional.empty());
        ConfigTable first = parse(toml, steps).read(steps).get(0);
        assertThat(first.read(factor).orElseThrow().path()).isEqualTo("steps.0.factor");
    }

    @Test
    void reportsWhatIsNotAListOfTables() {
        String toml = "a = 3\nb = [{}, 1]\nc = [2]\n[d.steps]\nrank = 1\n[[e]]";

        assertThat(problems(
                        toml, tables("a"), tables("b"), tables("c"), table("d", tables("steps")), optionalTable("e")))
                .containsExactly(
                        "w4.toml:1:1: a: expected a list of tables, got 3",
                        "w4.toml:2:10: b.1: expected a table, got 1",
                        "w4.toml:3:6: c.0: expected a table, got 2",
                        "w4.toml:4:1: d.steps: expected a list of tables, got a table; write [[d.steps]]",
                        "w4.toml:6:1: e: expected a table, got a list of tables");
    }

    @Test
    void readsAPresetForATableThatIsLeftOut() {
        String preset = "{ bits = 8, size = [16, 1] }";
        Key<ConfigTable> there = Key.table("a", BITS_AND_SIZE, preset).says("a table");
        Key<ConfigTable> wrong = there.named("b");
        Key<ConfigTable> absent = there.named("c");
        ConfigTable config = parse("a = { bits = 3 }\nb = 4", there, wrong, absent);

        assertThat(config.read(there).read(integer("bits", 2, 9))).isEqualTo(3);
        ConfigTable instead = config.read(absent);
        assertThat(instead.path()).isEqualTo("c");
        assertThat(readAll(instead, integer("bits", 2, 9), integers("size"))).containsExactly(8, List.of(16, 1));
        assertThat(config.resolved())
                .containsExactly(
                        entry("a", Map.of("bits", 3L)), entry("c", Map.of("bits", 8L, "size", List.of(16L, 1L))));
        assertThat(config.read(wrong).keys()).isEmpty();
        assertThatThrownBy(config::finish).hasMessage("w4.toml:2:1: b: expected a table, got 4");
    }

    @Test
    void readsTablesWhoseNamesAreFree() {
        Section names = Section.ofNames("sizes", integer("NAME", 1, 9));
        ConfigTable config = ConfigTable.parse("a = 3\n'b.c' = 10", "w4.toml", List.of(), names);

        assertThat(config.keys())
                .extracting(name -> config.read(integer("NAME", 1, 9).named(name)))
                .containsExactly(3, 1);
        assertThatThrownBy(() -> config.read(text("a"))).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(config::finish)
                .hasMessage("w4.toml:2:1: \"b.c\": expected a whole number from 1 to 9, got 10");
    }

    @Test
    void readsListsOfNames() {
        Key<?>[] sound = {formats("given"), formats("empty", 2), formats("absent", 2)};
        ConfigTable config = parse("given = ['mxint', 'int', 'mxint']\nempty = []", sound);
        assertThat(readAll(config, sound)).containsExactly(List.of(1, 2, 1), List.of(), List.of(2));
        assertThat(config.resolved()).containsEntry("absent", List.of("int"));

        Key<List<Integer>> one =
                Key.choices("other", Choices.of("a", 1, "")).preset(List.of(1)).says("one");
        Key<?>[] keys = {formats("names", 2), one, one.named("wrong")};
        ConfigTable wrong = parse("names = ['mxitn', 3, 'zzz']\nother = 'a'\nwrong = ['zzz']", keys);
        assertThat(readAll(wrong, keys))
                .as("what was meant, and the default")
                .containsExactly(List.of(1), List.of(1), List.of(1));
        assertThatThrownBy(wrong::finish).hasMessage("""
                w4.toml:1:10: names.0: expected one of [int, minifloat, mxint], got "mxitn"; did you mean "mxint"?
                w4.toml:1:19: names.1: expected one of [int, minifloat, mxint], got 3
                w4.toml:1:22: names.2: expected one of [int, minifloat, mxint], got "zzz"
                w4.toml:2:1: other: expected a list, each one of [a], got "a"
                w4.toml:3:10: wrong.0: expected one of [a], got "zzz\"""");
    }

    @Test
    void whatIsWrongFromTheStartIsOneProblem() {
        Key<?>[] keys = {integer("a", 2, 8), integer("b", 2, 9), text("c")};
        ConfigTable table = parse("a = 'x'\nb = 9", keys);
        assertThat(readAll(table, keys)).containsExactly(2, 9, "");
        table.problem("a", "2 is too small here");
        table.problem("b", "9 is too large here");
        table.problem("c", "\"\" is no file");

        assertThatThrownBy(table::finish).hasMessage("""
                w4.toml:1:1: a: expected a whole number from 2 to 8, got "x"
                w4.toml:1:1: c: expected a string, but it is missing
                w4.toml:2:1: b: 9 is too large here""");
    }

    @Test
    void resolvesToTheValuesUsedInReadingOrder() {
        Key<?>[] keys = {
            table("model", text("path"), flag("fast").preset(false)),
            format("format"),
            format("other").preset(2),
            integer("seed", 0, 9).preset(2),
            optionalInteger("limit", 0, 9),
            optionalText("tag"),
            optionalTable("absent"),
            tables("none"),
            integers("block_size").preset(List.of(1, 16)),
            decimal("damping", 0, 1).preset(1.0),
            tables("steps", integer("rank", 0, 9)),
            optionalTable("b")
        };
        ConfigTable config = parse("format = 'mxint'\nunread = 1\n[[steps]]\nrank = 3\n[b]\n[model]\npath = 'x'", keys);
        assertThat(readAll(config, keys)).contains("x");

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

        assertThat(problems(toml, table("t", table("é", optionalInteger("z", 0, 1)))))
                .containsExactly(
                        "w4.toml:2:1: \"größe 😀\": unknown key; expected one of [t]",
                        "w4.toml:4:11: t.\"é\".a: unknown key; expected one of [z]",
                        "w4.toml:4:18: t.\"é\".b: unknown key; expected one of [z]",
                        "w4.toml:5:2: t.x: unknown key; expected one of [é]");
    }

    @Test
    void readsDeepNesting() {
        Key<Object> innermost = value("b");
        Key<ConfigTable> key = table("a", innermost);
        for (int i = 0; i < 59; i++) {
            key = table("a", key);
        }
        ConfigTable table = parse("a.".repeat(59) + "a = { b = " + "[".repeat(60) + "]".repeat(60) + " }", key);
        for (int i = 0; i < 60; i++) {
            Key<ConfigTable> next = key;
            table = table.read(next);
            key = i == 59 ? key : inner(key);
        }
        assertThat(table.has(innermost)).isTrue();
        assertThat(table.path()).hasSize(119);
    }

    @SuppressWarnings("unchecked") // every key but the innermost is of a table
    private static Key<ConfigTable> inner(Key<ConfigTable> key) {
        return (Key<ConfigTable>)
                key.kind().section().orElseThrow().keys().all().get(0);
    }

    @Test
    void cutsLongValuesInMessages() {
        assertThat(problems(
                        "a = '" + "😀".repeat(500) + "'\nb = [1, 2020-01-01, { c = 1 }]\nc = 'x\ty\\z'",
                        integer("a", 0, 1),
                        integer("c", 0, 1),
                        integer("b", 0, 1)))
                .containsExactly(
                        "w4.toml:1:1: a: expected a whole number from 0 to 1, got \"" + "😀".repeat(78) + "…",
                        "w4.toml:2:1: b: expected a whole number from 0 to 1, got a list of tables",
                        "w4.toml:3:1: c: expected a whole number from 0 to 1, got \"x\\ty\\\\z\"");
    }

    @Test
    void readsAFileWithOverrides(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("w4.toml"), "\ufeffseed = 1\nbits = 9\n");
        Section section = Section.of("file", integer("seed", 0, 9), integer("bits", 2, 8));
        ConfigTable config = ConfigTable.read(file, List.of("seed=3"), section);

        assertThat(readAll(config, integer("seed", 0, 9), integer("bits", 2, 8)))
                .containsExactly(3, 2);
        assertThatThrownBy(config::finish).hasMessage(file + ":2:1: bits: expected a whole number from 2 to 8, got 9");
    }

    @Test
    void refusesFilesThatAreNotText(@TempDir Path folder) throws IOException {
        Path file = Files.write(folder.resolve("w4.toml"), "é = 1".getBytes(StandardCharsets.ISO_8859_1));

        assertThatThrownBy(() -> ConfigTable.read(file, List.of(), Section.of("file")))
                .isInstanceOf(ConfigException.class)
                .hasMessage(file + ": expected text in UTF-8");
        assertThatThrownBy(() -> ConfigTable.read(folder.resolve("none.toml"), List.of(), Section.of("file")))
                .isInstanceOf(NoSuchFileException.class);
    }

    @Test
    void declarationsThatCannotBeMeantAreOurBug() {
        assertThatThrownBy(() -> format("format").preset(4))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("not among the choices [mxint, int, minifloat]: 4");
        assertThatThrownBy(() -> text("name").from("a"))
                .isInstanceOf(IllegalStateException.class)
                .hasMessage("a string has no bounds, got a");
        assertThatThrownBy(() -> text("name").to("z")).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> Section.of("file", text("a"), Key.text("b")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("section file: key b does not say what it means");
    }

    private static List<Object> read(String toml, Key<?>... keys) {
        ConfigTable table = parse(toml, keys);
        List<Object> values = readAll(table, keys);
        table.finish();
        return values;
    }

    static List<String> problems(String toml, Key<?>... keys) {
        return problems(toml, List.of(), keys);
    }

    static List<String> problems(String toml, List<String> overrides, Key<?>... keys) {
        return problems(toml, overrides, table -> readAll(table, keys), keys);
    }

    static List<String> problems(String toml, List<String> overrides, Consumer<ConfigTable> reading, Key<?>... keys) {
        ConfigTable config = DeclaredKeys.parse(toml, overrides, keys);
        reading.accept(config);
        ConfigException exception = Objects.requireNonNull(catchThrowableOfType(ConfigException.class, config::finish));
        assertThat(exception).hasMessage(String.join("\n", exception.problems()));
        return exception.problems();
    }

    private static ConfigTable parse(String toml, Key<?>... keys) {
        return DeclaredKeys.parse(toml, List.of(), keys);
    }
}
