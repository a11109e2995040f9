package dev.ptq.config;

import static dev.ptq.config.ConfigTableTest.problems;
import static dev.ptq.config.DeclaredKeys.decimal;
import static dev.ptq.config.DeclaredKeys.flag;
import static dev.ptq.config.DeclaredKeys.integer;
import static dev.ptq.config.DeclaredKeys.integers;
import static dev.ptq.config.DeclaredKeys.optionalInteger;
import static dev.ptq.config.DeclaredKeys.optionalTable;
import static dev.ptq.config.DeclaredKeys.readAll;
import static dev.ptq.config.DeclaredKeys.strings;
import static dev.ptq.config.DeclaredKeys.table;
import static dev.ptq.config.DeclaredKeys.tables;
import static dev.ptq.config.DeclaredKeys.text;
import static dev.ptq.config.DeclaredKeys.values;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class OverridesTest {
    private static final String STEPS = """
        [[approximation]]
        method = "smoothquant"
        [[approximation]]
        method = "l2qer"
        rank = 32
        factor = { bits = 8 }
        """;

    @Test
    void replaceAndAddValuesInOrder() {
        assertThat(read(
                        "seed = 1\n[a]\nb = 2",
                        List.of("a.b=3", "a.b=4", "a.c.d=true", "x.y.z=[1, 2]"),
                        integer("seed", 0, 9),
                        table("a", integer("b", 0, 9), table("c", flag("d"))),
                        table("x", table("y", integers("z")))))
                .containsExactly(1, 4, true, List.of(1, 2));
    }

    @Test
    void unsetKeysInTheOrderOfAll() {
        assertThat(read(
                        STEPS + "[a]\nb = 2\nc = 3",
                        List.of(
                                "~a.b",
                                "~approximation.smoothquant",
                                "a.d=4",
                                "~a.d",
                                "~approximation.0.factor",
                                "a.c=5"),
                        table("a", integer("c", 0, 9)),
                        tables("approximation", text("method"), integer("rank", 0, 99))))
                .containsExactly(5, "l2qer", 32);
        assertThat(problems("[a]\nbits = 2", List.of("~a.bit", "~x.y", "~approximation", "~a..b")))
                .containsExactlyInAnyOrder(
                        "--unset a.bit: a.bit: there is no such key to unset; did you mean \"bits\"?",
                        "--unset x.y: x.y: there is no such key to unset",
                        "--unset approximation: approximation: there is no such key to unset",
                        "--unset a..b: expected a dotted key, unusual parts in quotes",
                        "w4.toml:1:1: a: unknown key");
    }

    @Test
    void areTypedAsInAFile() {
        List<String> overrides = List.of(
                "a=-3",
                "b = 0.5",
                "c=1e-3",
                "d=\"3\"",
                "e='x=y # z'",
                "f=[ 'p', \"q\" ]",
                "g={ h = 1, i = { j = 2 } }");

        assertThat(read(
                        "",
                        overrides,
                        integer("a", -9, 9),
                        decimal("b", 0, 1),
                        decimal("c", 0, 1),
                        text("d"),
                        text("e"),
                        strings("f"),
                        table("g", integer("h", 0, 9), table("i", integer("j", 0, 9)))))
                .containsExactly(-3, 0.5, 0.001, "3", "x=y # z", List.of("p", "q"), 1, 2);
    }

    @Test
    void takeABareWordAsAString() {
        for (String word :
                List.of("europarl", "./models/tiny", "~/tiny", "owner/name:v1@main", "C:/x", "1.5.2", "-x-")) {
            assertThat(read("", List.of("a=" + word), text("a"))).containsExactly(word);
        }
    }

    @Test
    void refuseTextThatIsNeitherAValueNorAWord() {
        for (String text :
                List.of("", " ", "two words", "C:\\x", "[1, 2", "'open", "1\nb = 2", "é", "#x", "a=b", "{")) {
            assertThat(problems("", List.of("p.q=" + text)))
                    .containsExactly("--set p.q=" + text + ": p.q: expected a value as in a TOML file, text in quotes");
        }
    }

    @Test
    void refuseWhatIsNotAnAssignment() {
        assertThat(problems("", List.of("seed", "=3", "a..b=3", ".a=3", "'a=3", "a b c", "é=1")))
                .containsExactly(
                        "--set seed: expected key=value",
                        "--set =3: expected a dotted key before the equals sign, unusual parts in quotes",
                        "--set a..b=3: expected a dotted key before the equals sign, unusual parts in quotes",
                        "--set .a=3: expected a dotted key before the equals sign, unusual parts in quotes",
                        "--set 'a=3: expected key=value",
                        "--set a b c: expected key=value",
                        "--set é=1: expected a dotted key before the equals sign, unusual parts in quotes");
    }

    @Test
    void mayQuotePartsOfTheKey() {
        assertThat(read(
                        "",
                        List.of("a.'b.c=d'.e=1", "a.\"x\\\"=\" = 2"),
                        table("a", table("b.c=d", integer("e", 0, 9)), integer("x\"=", 0, 9))))
                .containsExactly(1, 2);
    }

    @Test
    void reportProblemsAfterThoseOfTheFile() {
        List<String> overrides = List.of("quantization.weight.bits=9", "quantization.weight.fast=yes", "z=1");

        assertThat(problems(
                        "quantization.weight.bits = 4\nseed = 'x'",
                        overrides,
                        table("quantization", table("weight", integer("bits", 2, 8), flag("fast"))),
                        integer("seed", 0, 9)))
                .containsExactly(
                        "w4.toml:2:1: seed: expected a whole number from 0 to 9, got \"x\"",
                        "--set quantization.weight.bits=9: quantization.weight.bits:"
                                + " expected a whole number from 2 to 8, got 9",
                        "--set quantization.weight.fast=yes: quantization.weight.fast:"
                                + " expected true or false, got \"yes\"",
                        "--set z=1: z: unknown key; expected one of [quantization, seed]");
    }

    @Test
    void locateTheTablesTheyMake() {
        assertThat(problems("", List.of("a.b=[{ c = 'x' }]"), table("a", text("d"), tables("b", integer("c", 0, 9)))))
                .containsExactly(
                        "--set a.b=[{ c = 'x' }]: a.d: expected a string, but it is missing",
                        "--set a.b=[{ c = 'x' }]: a.b.0.c: expected a whole number from 0 to 9, got \"x\"");
    }

    @Test
    void addressAStepByItsMethodOrIndex() {
        List<String> overrides = List.of(
                "approximation.l2qer.rank=64", "approximation.l2qer.factor.bits=4", "approximation.0.alpha=0.5");

        assertThat(read(
                        STEPS,
                        overrides,
                        tables(
                                "approximation",
                                text("method"),
                                decimal("alpha", 0, 1).optional(""),
                                optionalInteger("rank", 0, 99),
                                optionalTable("factor", integer("bits", 0, 9)))))
                .containsExactly(
                        "smoothquant",
                        Optional.of(0.5),
                        Optional.empty(),
                        Optional.empty(),
                        "l2qer",
                        Optional.empty(),
                        Optional.of(64),
                        4);
    }

    @Test
    void addressEntriesByNameOrDataset() {
        Key<List<ConfigTable>> entries = tables("a", integer("n", 0, 9));
        ConfigTable config = DeclaredKeys.parse(
                "a = [{ name = 'x' }, { dataset = 'y' }, { name = 3 }]",
                List.of("a.x.n=1", "a.y.n=2", "a.2.n=3"),
                entries);

        assertThat(readAll(config, entries)).containsExactly(1, 2, 3);
    }

    @Test
    void replaceWholeEntries() {
        Key<List<Object>> list = values("a");
        ConfigTable config = DeclaredKeys.parse(
                "a = [{ name = 'x' }, 2, 3]", List.of("a.x={ name = 'y' }", "a.y.n=1", "a.2=5"), list);

        assertThat(config.read(list)).containsExactly(Map.of("name", "y", "n", 1L), 2L, 5L);
        assertThat(problems("a = [{ name = 'x' }, 2, 3]", List.of("a.x=1", "a.2='5'"), integers("a")))
                .containsExactly("--set a.2='5': a.2: expected a whole number, got \"5\"");
    }

    @Test
    void reportEntriesThatAreNotThere() {
        List<String> overrides = List.of(
                "approximation.lqer.rank=1", "approximation.2.rank=1", "approximation.x=1", "approximation.01.rank=1");

        assertThat(problems(
                        STEPS, overrides, config -> config.problem("approximation", "unread"), tables("approximation")))
                .containsExactly(
                        "w4.toml:1:1: approximation: unread",
                        "--set approximation.lqer.rank=1: approximation: expected one of [0 (smoothquant), 1 (l2qer)],"
                                + " got \"lqer\"; did you mean \"l2qer\"?",
                        "--set approximation.2.rank=1: approximation: expected one of [0 (smoothquant), 1 (l2qer)],"
                                + " got \"2\"",
                        "--set approximation.x=1: approximation: expected one of [0 (smoothquant), 1 (l2qer)],"
                                + " got \"x\"",
                        "--set approximation.01.rank=1: approximation: expected one of [0 (smoothquant), 1 (l2qer)],"
                                + " got \"01\"");
        Key<List<ConfigTable>> empty = tables("a");
        assertThat(problems(
                        "a = []\nb = [{ c = 1 }]",
                        List.of("a.x=1", "b.x.y=1"),
                        config -> {
                            assertThat(config.read(empty)).isEmpty();
                            config.problem("b", "unread");
                        },
                        empty,
                        tables("b")))
                .containsExactly(
                        "w4.toml:2:1: b: unread",
                        "--set a.x=1: a: expected an entry, but the list is empty, got \"x\"",
                        "--set b.x.y=1: b: expected one of [0], got \"x\"");
    }

    @Test
    void askForTheIndexWhenANameIsNotEnough() {
        String toml = "a = [{ dataset = 'x' }, { dataset = 'y' }, { dataset = 'x' }]";

        assertThat(problems(toml, List.of("a.x.n=1"), config -> config.problem("a", "unread"), tables("a")))
                .containsExactly(
                        "w4.toml:1:1: a: unread",
                        "--set a.x.n=1: a: expected an index, as \"x\" is the name of entries [0, 2]");
    }

    @Test
    void cannotLeadThroughAPlainValue() {
        assertThat(problems("seed = 2", List.of("seed.x.y=3"), integer("seed", 0, 9)))
                .containsExactly("--set seed.x.y=3: seed: expected a table, got 2");
    }

    @Test
    void doNotTurnATableIntoAList() {
        assertThat(problems("", List.of("approximation.l2qer.rank=64"), tables("approximation")))
                .containsExactly("--set approximation.l2qer.rank=64: approximation: the config has no"
                        + " [[approximation]] to change; add one to it, or set the list as a whole");
        assertThat(problems(
                        "[evaluation]",
                        List.of("evaluation.perplexity.0.seq_len=64"),
                        table("evaluation", tables("perplexity"))))
                .containsExactly("--set evaluation.perplexity.0.seq_len=64: evaluation.perplexity: the config has no"
                        + " [[evaluation.perplexity]] to change; add one to it, or set the list as a whole");
        assertThat(problems("[approximation]\nrank = 3", List.of("approximation.rank=64"), tables("approximation")))
                .containsExactly(
                        "w4.toml:1:1: approximation: expected a list of tables, got a table; write [[approximation]]");
    }

    private static List<Object> read(String toml, List<String> overrides, Key<?>... keys) {
        ConfigTable config = DeclaredKeys.parse(toml, overrides, keys);
        List<Object> values = readAll(config, keys);
        config.finish();
        return values;
    }
}
