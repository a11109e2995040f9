package dev.ptq.config;

import static dev.ptq.config.ConfigTableTest.problems;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
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
        ConfigTable config = parse("seed = 1\n[a]\nb = 2", "a.b=3", "a.b=4", "a.c.d=true", "x.y.z=[1, 2]");

        assertThat(config.integer("seed", 0, 9)).isEqualTo(1);
        assertThat(config.requiredTable("a").integer("b", 0, 9)).isEqualTo(4);
        assertThat(config.requiredTable("a").requiredTable("c").flag("d")).isTrue();
        assertThat(config.requiredTable("x").requiredTable("y").integers("z")).containsExactly(1, 2);
        config.finish();
    }

    @Test
    void areTypedAsInAFile() {
        ConfigTable config = parse(
                "",
                "a=-3",
                "b = 0.5",
                "c=1e-3",
                "d=\"3\"",
                "e='x=y # z'",
                "f=[ 'p', \"q\" ]",
                "g={ h = 1, i = { j = 2 } }");

        assertThat(config.integer("a", -9, 9)).isEqualTo(-3);
        assertThat(config.decimal("b", 0, 1)).isEqualTo(0.5);
        assertThat(config.decimal("c", 0, 1)).isEqualTo(0.001);
        assertThat(config.string("d")).isEqualTo("3");
        assertThat(config.string("e")).isEqualTo("x=y # z");
        assertThat(config.strings("f")).containsExactly("p", "q");
        assertThat(config.requiredTable("g").integer("h", 0, 9)).isEqualTo(1);
        assertThat(config.requiredTable("g").requiredTable("i").integer("j", 0, 9))
                .isEqualTo(2);
        config.finish();
    }

    @Test
    void takeABareWordAsAString() {
        for (String word :
                List.of("europarl", "./models/tiny", "~/tiny", "owner/name:v1@main", "C:/x", "1.5.2", "-x-")) {
            assertThat(parse("", "a=" + word).string("a")).isEqualTo(word);
        }
    }

    @Test
    void refuseTextThatIsNeitherAValueNorAWord() {
        for (String text :
                List.of("", " ", "two words", "C:\\x", "[1, 2", "'open", "1\nb = 2", "é", "#x", "a=b", "{")) {
            assertThat(problems("", List.of("p.q=" + text), config -> {}))
                    .containsExactly("--set p.q=" + text + ": p.q: expected a value as in a TOML file, text in quotes");
        }
    }

    @Test
    void refuseWhatIsNotAnAssignment() {
        assertThat(problems("", List.of("seed", "=3", "a..b=3", ".a=3", "'a=3", "a b c", "é=1"), config -> {}))
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
        ConfigTable config = parse("", "a.'b.c=d'.e=1", "a.\"x\\\"=\" = 2");

        assertThat(config.requiredTable("a").requiredTable("b.c=d").integer("e", 0, 9))
                .isEqualTo(1);
        assertThat(config.requiredTable("a").integer("x\"=", 0, 9)).isEqualTo(2);
        config.finish();
    }

    @Test
    void reportProblemsAfterThoseOfTheFile() {
        List<String> overrides = List.of("quantization.weight.bits=9", "quantization.weight.fast=yes", "z=1");

        assertThat(problems("quantization.weight.bits = 4\nseed = 'x'", overrides, config -> {
                    ConfigTable weight = config.requiredTable("quantization").requiredTable("weight");
                    weight.integer("bits", 2, 8);
                    weight.flag("fast");
                    config.integer("seed", 0, 9);
                }))
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
        assertThat(problems("", List.of("a.b=[{ c = 'x' }]"), config -> {
                    ConfigTable table = config.requiredTable("a");
                    table.string("d");
                    table.tables("b").get(0).integer("c", 0, 9);
                }))
                .containsExactly(
                        "--set a.b=[{ c = 'x' }]: a.d: expected a string, but it is missing",
                        "--set a.b=[{ c = 'x' }]: a.b.0.c: expected a whole number from 0 to 9, got \"x\"");
    }

    @Test
    void addressAStepByItsMethodOrIndex() {
        ConfigTable config = parse(
                STEPS, "approximation.l2qer.rank=64", "approximation.l2qer.factor.bits=4", "approximation.0.alpha=0.5");
        List<ConfigTable> steps = config.tables("approximation");

        assertThat(steps.get(0).string("method")).isEqualTo("smoothquant");
        assertThat(steps.get(0).decimal("alpha", 0, 1)).isEqualTo(0.5);
        assertThat(steps.get(1).string("method")).isEqualTo("l2qer");
        assertThat(steps.get(1).integer("rank", 0, 99)).isEqualTo(64);
        assertThat(steps.get(1).requiredTable("factor").integer("bits", 0, 9)).isEqualTo(4);
        config.finish();
    }

    @Test
    void addressEntriesByNameOrDataset() {
        ConfigTable config =
                parse("a = [{ name = 'x' }, { dataset = 'y' }, { name = 3 }]", "a.x.n=1", "a.y.n=2", "a.2.n=3");

        assertThat(config.tables("a"))
                .extracting(entry -> entry.integer("n", 0, 9))
                .containsExactly(1, 2, 3);
    }

    @Test
    void replaceWholeEntries() {
        ConfigTable config = parse("a = [{ name = 'x' }, 2, 3]", "a.x={ name = 'y' }", "a.y.n=1", "a.2=5");

        assertThat(config.has("a")).isTrue();
        assertThat(problems("a = [{ name = 'x' }, 2, 3]", List.of("a.x=1", "a.2='5'"), table -> table.integers("a")))
                .containsExactly("--set a.2='5': a.2: expected a whole number, got \"5\"");
    }

    @Test
    void reportEntriesThatAreNotThere() {
        List<String> overrides = List.of(
                "approximation.lqer.rank=1", "approximation.2.rank=1", "approximation.x=1", "approximation.01.rank=1");

        assertThat(problems(STEPS, overrides, config -> config.problem("approximation", "unread")))
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
        assertThat(problems("a = []\nb = [{ c = 1 }]", List.of("a.x=1", "b.x.y=1"), config -> {
                    config.tables("a");
                    config.problem("b", "unread");
                }))
                .containsExactly(
                        "w4.toml:2:1: b: unread",
                        "--set a.x=1: a: expected an entry, but the list is empty, got \"x\"",
                        "--set b.x.y=1: b: expected one of [0], got \"x\"");
    }

    @Test
    void askForTheIndexWhenANameIsNotEnough() {
        String toml = "a = [{ dataset = 'x' }, { dataset = 'y' }, { dataset = 'x' }]";

        assertThat(problems(toml, List.of("a.x.n=1"), config -> config.problem("a", "unread")))
                .containsExactly(
                        "w4.toml:1:1: a: unread",
                        "--set a.x.n=1: a: expected an index, as \"x\" is the name of entries [0, 2]");
    }

    @Test
    void cannotLeadThroughAPlainValue() {
        assertThat(problems("seed = 2", List.of("seed.x.y=3"), config -> config.integer("seed", 0, 9)))
                .containsExactly("--set seed.x.y=3: seed: expected a table, got 2");
    }

    @Test
    void doNotTurnATableIntoAList() {
        assertThat(problems("", List.of("approximation.l2qer.rank=64"), config -> config.tables("approximation")))
                .containsExactly("--set approximation.l2qer.rank=64: approximation: the config has no"
                        + " [[approximation]] to change; add one to it, or set the list as a whole");
        assertThat(problems(
                        "[evaluation]",
                        List.of("evaluation.perplexity.0.seq_len=64"),
                        config -> config.requiredTable("evaluation").tables("perplexity")))
                .containsExactly("--set evaluation.perplexity.0.seq_len=64: evaluation.perplexity: the config has no"
                        + " [[evaluation.perplexity]] to change; add one to it, or set the list as a whole");
        assertThat(problems(
                        "[approximation]\nrank = 3",
                        List.of("approximation.rank=64"),
                        config -> config.tables("approximation")))
                .containsExactly(
                        "w4.toml:1:1: approximation: expected a list of tables, got a table; write [[approximation]]");
    }

    private static ConfigTable parse(String toml, String... overrides) {
        return ConfigTable.parse(toml, "w4.toml", List.of(overrides));
    }
}
