package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class FlatConfigTest {
    private static FlatConfig flat(String toml) {
        return FlatConfig.parse(toml, "test.toml");
    }

    private static Iterable<String> differences(String... tomls) {
        return FlatConfig.differences(Stream.of(tomls).map(FlatConfigTest::flat).toList());
    }

    @Test
    void keysAreWhatAnOverrideWouldSay() {
        FlatConfig config = flat("""
                seed = 3
                [[approximation]]
                method = "l2qer"
                rank = 8
                factor = { bits = 8, block_size = [16, 1] }
                [quantization.weight]
                bits = 4
                damping = 0.5
                symmetric = true
                [[quantization.override]]
                pattern = 'a\\.b'
                [[evaluation.perplexity]]
                name = "tales"
                dataset = "t.txt"
                [[evaluation.perplexity]]
                name = "news"
                dataset = "t.txt"
                """);

        assertThat(config.values().entrySet())
                .extracting(entry -> entry.getKey() + "=" + entry.getValue())
                .containsExactly(
                        "seed=3",
                        "approximation=l2qer",
                        "approximation.l2qer.method=l2qer",
                        "approximation.l2qer.rank=8",
                        "approximation.l2qer.factor.bits=8",
                        "approximation.l2qer.factor.block_size=[16, 1]",
                        "quantization.weight.bits=4",
                        "quantization.weight.damping=0.5",
                        "quantization.weight.symmetric=true",
                        "quantization.override.0.pattern=a\\.b",
                        "evaluation.perplexity=tales, news",
                        "evaluation.perplexity.tales.name=tales",
                        "evaluation.perplexity.tales.dataset=t.txt",
                        "evaluation.perplexity.news.name=news",
                        "evaluation.perplexity.news.dataset=t.txt");
        assertThat(config.values()).containsEntry("seed", 3L).containsEntry("quantization.weight.damping", 0.5);
        Key<List<ConfigTable>> steps = DeclaredKeys.tables("approximation", DeclaredKeys.integer("rank", 0, 9));
        ConfigTable overridden = DeclaredKeys.parse(
                "approximation = [{ method = \"l2qer\" }]", List.of("approximation.l2qer.rank=2"), steps);
        assertThat(DeclaredKeys.readAll(overridden, steps)).containsExactly(2);
    }

    @Test
    void entriesOfOneNameAreKnownByTheirPlace() {
        assertThat(flat("""
                [[approximation]]
                method = "lqer"
                rank = 8
                [[approximation]]
                method = "lqer"
                rank = 4
                """).values())
                .containsEntry("approximation", "lqer, lqer")
                .containsEntry("approximation.0.rank", 8L)
                .containsEntry("approximation.1.rank", 4L)
                .hasSize(5);
    }

    @Test
    void namesThatLookLikeAPlaceAreNotUsed() {
        assertThat(flat("x = [{ name = \"1\", a = 5 }, { name = \"b\", a = 6 }]")
                        .values())
                .containsOnlyKeys("x.0.name", "x.0.a", "x.1.name", "x.1.a");
    }

    @Test
    void unusualKeysAreInQuotes() {
        assertThat(flat("[a]\n\"b.c\" = 1\n\"d e\" = { f = 2 }").values()).containsOnlyKeys("a.\"b.c\"", "a.\"d e\".f");
    }

    @Test
    void valuesThatDifferTellConfigsApart() {
        assertThat(differences(
                        "seed = 0\na.b = 1\na.c = [1, 2]",
                        "seed = 1\na.b = 1\na.c = [1, 2]",
                        "seed = 0\na.b = 1\na.c = [1]"))
                .containsExactly("seed", "a.c");
        assertThat(differences("seed = 0", "seed = 0")).isEmpty();
        assertThat(differences("seed = 0")).isEmpty();
        assertThat(differences()).isEmpty();
    }

    @Test
    void aKeyThatIsMissingFromItsTableTellsConfigsApart() {
        assertThat(differences("[t]\na = 1\nlimit = 2", "[t]\na = 1")).containsExactly("t.limit");
        assertThat(differences("a = 1", "a = 1\nlimit = 2")).containsExactly("limit");
    }

    /** The names of the steps say which step is missing; what its settings would be is no news. */
    @Test
    void ofAStepThatIsMissingOnlyItsNameCounts() {
        String plain = "seed = 0\n";
        String eight =
                plain + "[[approximation]]\nmethod = \"l2qer\"\nrank = 8\nfactor = { format = \"int\", bits = 8 }";
        String four = eight.replace("rank = 8", "rank = 4");

        assertThat(differences(plain, eight)).containsExactly("approximation");
        assertThat(differences(plain, eight, four)).containsExactly("approximation", "approximation.l2qer.rank");
        assertThat(differences(eight, eight.replace("l2qer", "lqer"))).containsExactly("approximation");
        assertThat(differences(eight.replace("bits = 8", "bits = 6"), eight, plain))
                .containsExactly("approximation", "approximation.l2qer.factor.bits");
    }

    @Test
    void otherStepsDifferInWhatTheyHaveInCommon() {
        String l2qer = "[[approximation]]\nmethod = \"l2qer\"\nrank = 8\nfactor = { bits = 8 }\npattern = \"a\"";
        String lqer = l2qer.replace("l2qer", "lqer");

        assertThat(differences(l2qer, lqer, "")).containsExactly("approximation");
        assertThat(differences(l2qer, lqer.replace("rank = 8", "rank = 4"), ""))
                .containsExactly("approximation", "approximation.l2qer.rank", "approximation.lqer.rank");
        assertThat(differences(l2qer, l2qer.replace("rank = 8", "rank = 4"), lqer))
                .containsExactly("approximation", "approximation.l2qer.rank", "approximation.lqer.rank");
        String texts = "e = [{ name = \"x\", len = 8 }, { name = \"y\", len = 16 }]";
        assertThat(differences(texts, texts.replace("len = 8", "len = 4"))).containsExactly("e.x.len");
    }

    @Test
    void ofATableThatIsMissingTheFirstKeyCounts() {
        String full = "seed = 0\n";
        String rounded = full + "[q.weight]\nformat = \"int\"\nbits = 4\n[q.act]\nformat = \"int\"\nbits = 8";

        assertThat(differences(full, rounded)).containsExactly("q.weight.format", "q.act.format");
        assertThat(differences(full, rounded, rounded.replace("bits = 4", "bits = 3")))
                .containsExactly("q.weight.format", "q.weight.bits", "q.act.format");
    }

    @Test
    void anotherFormatHasOtherKeys() {
        String none = "[w]\nformat = \"none\"";
        String four = "[w]\nformat = \"mxint\"\nbits = 4\nblock_size = [1, 16]";
        String integer = "[w]\nformat = \"int\"\nbits = 4\ngranularity = \"channel\"";

        assertThat(differences(none, four)).containsExactly("w.format");
        assertThat(differences(none, four, integer)).containsExactly("w.format");
        assertThat(differences(none, four, four.replace("bits = 4", "bits = 3")))
                .containsExactly("w.format", "w.bits");
        assertThat(differences(four, four + "\nextra = 1")).containsExactly("w.extra");
    }

    @Test
    void whatIsNoTomlIsRefused() {
        assertThatThrownBy(() -> flat("seed = \n"))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("test.toml:1:");
        assertThatThrownBy(() -> flat("a = " + "[".repeat(200_000)))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("test.toml");
        assertThat(FlatConfig.none().isEmpty()).isTrue();
        assertThat(flat("a = 1").isEmpty()).isFalse();
    }

    private static List<String> changes(FlatConfig like, String... changes) {
        FlatConfig config = FlatConfig.ofChanges(List.of(changes), like);
        assertThat(config.isWhole()).isFalse();
        return config.values().entrySet().stream()
                .map(each -> each.getKey() + "=" + each.getValue())
                .toList();
    }

    @Test
    void changesAreAllThatIsKnown() {
        assertThat(changes(
                        FlatConfig.none(),
                        "seed=3",
                        "quantization.weight={ format = \"int\", bits = 4 }",
                        "seed=4",
                        "quantization.weight.bits=5",
                        "approximation.0.rank=8",
                        "model.path=a/b",
                        "calibration = []"))
                .containsExactly(
                        "seed=4",
                        "quantization.weight.format=int",
                        "quantization.weight.bits=5",
                        "approximation.0.rank=8",
                        "model.path=a/b",
                        "calibration=[]");
    }

    @Test
    void changesByPlaceHaveTheNamesOfAConfigLikeIt() {
        FlatConfig like = flat("""
                [[approximation]]
                method = "l2qer"
                [[approximation]]
                method = "lqer"
                [[evaluation.perplexity]]
                name = "tales"
                [[quantization.override]]
                pattern = "a"
                """);
        assertThat(changes(
                        like,
                        "approximation.1.rank=8",
                        "approximation.2.rank=9",
                        "approximation.99999999999999999999.rank=9",
                        "evaluation.perplexity.0.factor.bits=4",
                        "quantization.override.0.pattern=b"))
                .containsExactly(
                        "approximation.lqer.rank=8",
                        "approximation.2.rank=9",
                        "approximation.99999999999999999999.rank=9",
                        "evaluation.perplexity.tales.factor.bits=4",
                        "quantization.override.0.pattern=b");
        assertThat(changes(like, "approximation.1.method=gptq", "approximation.1.rank=8"))
                .containsExactlyInAnyOrder(
                        "approximation.gptq.method=gptq", "approximation.gptq.rank=8", "approximation=l2qer, gptq");
        assertThat(changes(like, "approximation.0.rank=8", "approximation.1.method=l2qer", "approximation.1.rank=9"))
                .containsExactlyInAnyOrder(
                        "approximation.l2qer.rank=8",
                        "approximation.1.method=l2qer",
                        "approximation.1.rank=9",
                        "approximation=l2qer, l2qer");
        assertThat(changes(like, "approximation.0.rank=8", "approximation.l2qer.rank=9"))
                .containsExactlyInAnyOrder("approximation.0.rank=8", "approximation.l2qer.rank=9");
        assertThat(changes(like, "approximation=[{ method = \"lqer\", rank = 2 }]"))
                .containsExactly("approximation=lqer", "approximation.lqer.method=lqer", "approximation.lqer.rank=2");
    }

    @Test
    void whatIsNoChangeIsPassedOver() {
        assertThat(changes(flat("a = 1"), "", "=", "a", "a=[", "a=1\nb=2", "c=1", "c.d=2"))
                .containsExactly("c=1");
        String deep = "seed=" + "[".repeat(20_000) + "]".repeat(20_000);
        assertThat(changes(FlatConfig.none(), deep)).isEmpty();
    }

    @Test
    void changesOfAConfigCountWithTheValuesTheyHave() {
        FlatConfig four = flat("seed = 1\na.x = 4\nb.y = 1");
        FlatConfig eight = flat("seed = 1\na.x = 8\nb.y = 1");

        assertThat(FlatConfig.differences(List.of(four, FlatConfig.ofChanges(List.of("a.x=4", "seed=1"), four))))
                .isEmpty();
        assertThat(FlatConfig.differences(List.of(four, eight, FlatConfig.ofChanges(List.of("a.x=4", "seed=2"), four))))
                .containsExactly("a.x", "seed");
        assertThat(FlatConfig.differences(List.of(
                        FlatConfig.ofChanges(List.of("a.x=4", "seed=2"), FlatConfig.none()),
                        FlatConfig.ofChanges(List.of("a.x=5", "seed=2"), FlatConfig.none()))))
                .containsExactly("a.x");
    }
}
