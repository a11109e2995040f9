package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SweepFileTest {
    @TempDir
    Path folder;

    /** Each point on one line: its name, then what it changes. */
    private List<String> points(String toml) throws IOException {
        Path file = Files.writeString(folder.resolve("s.toml"), toml);
        return SweepFile.read(file).stream()
                .map(point -> point.name() + ": " + String.join(" ", point.overrides()))
                .toList();
    }

    private List<String> problems(String toml) throws IOException {
        Files.writeString(folder.resolve("s.toml"), toml);
        ConfigException refused =
                catchThrowableOfType(ConfigException.class, () -> SweepFile.read(folder.resolve("s.toml")));
        assertThat(refused).as("accepted").isNotNull();
        return refused.problems().stream()
                .map(problem -> problem.replace(folder + "/", ""))
                .toList();
    }

    @Test
    void combinesAllAxesTheLastOneFirst() throws IOException {
        assertThat(points("""
            [axes]
            "approximation.l2qer.rank" = [8, 16]
            "quantization.weight.bits" = [4, 3]
            """))
                .containsExactly(
                        "rank-8_bits-4: approximation.l2qer.rank=8 quantization.weight.bits=4",
                        "rank-8_bits-3: approximation.l2qer.rank=8 quantization.weight.bits=3",
                        "rank-16_bits-4: approximation.l2qer.rank=16 quantization.weight.bits=4",
                        "rank-16_bits-3: approximation.l2qer.rank=16 quantization.weight.bits=3");
    }

    @Test
    void anAxisOfOneValueIsTheSameInAllPointsAndNotInTheirNames() throws IOException {
        assertThat(points("""
            [axes]
            seed = [7]
            "approximation.l2qer.rank" = [8, 16]
            """))
                .containsExactly(
                        "rank-8: seed=7 approximation.l2qer.rank=8", "rank-16: seed=7 approximation.l2qer.rank=16");
        assertThat(points("axes.seed = [7]\naxes.'model.memory' = ['auto']"))
                .containsExactly("seed-7_memory-auto: seed=7 model.memory=\"auto\"");
    }

    @Test
    void alternativesGiveTheirNames() throws IOException {
        String axes = """
            [axes]
            seed = [1, 2]
            [axes.method]
            plain = { approximation = [] }
            l2qer = { approximation = [{ method = "l2qer" }], "quantization.weight.bits" = 3 }
            """;
        assertThat(points(axes))
                .containsExactly(
                        "seed-1_plain: seed=1 approximation=[]",
                        "seed-1_l2qer: seed=1 approximation=[{ method = \"l2qer\" }] quantization.weight.bits=3",
                        "seed-2_plain: seed=2 approximation=[]",
                        "seed-2_l2qer: seed=2 approximation=[{ method = \"l2qer\" }] quantization.weight.bits=3");
        assertThat(SweepFile.read(folder.resolve("s.toml")).stream().map(Point::axes))
                .containsExactly(
                        Map.of("method", "plain"),
                        Map.of("method", "l2qer"),
                        Map.of("method", "plain"),
                        Map.of("method", "l2qer"));
        assertThat(points("axes.size.small = { seed = 1 }")).containsExactly("small: seed=1");
    }

    @Test
    void alternativesAreExcludedAndIncludedByTheirNames() throws IOException {
        String axes = """
            [axes]
            seed = [1, 2]
            [axes.method]
            plain = { approximation = [] }
            l2qer = { approximation = [{ method = "l2qer" }] }
            """;
        assertThat(points(axes + """
            [[exclude]]
            method = "plain"
            seed = 2
            [[include]]
            method = "l2qer"
            "model.memory" = "auto"
            [[include]]
            seed = 3
            method = "plain"
            """))
                .containsExactly(
                        "seed-1_plain: seed=1 approximation=[]",
                        "seed-1_l2qer: seed=1 approximation=[{ method = \"l2qer\" }] model.memory=\"auto\"",
                        "seed-2_l2qer: seed=2 approximation=[{ method = \"l2qer\" }] model.memory=\"auto\"",
                        "seed-3_plain: seed=3 approximation=[]");
        assertThat(problems(axes
                        + "[[exclude]]\nmethod = 'awq'\n[[include]]\nseed = 3\n[[include]]\nmethod = 'awq'\nseed = 3"))
                .containsExactly(
                        "s.toml:7:1: exclude.0.method: expected one of [\"plain\", \"l2qer\"], got \"awq\"",
                        "s.toml:8:1: include.0: matches no point; to be one of its own it needs a value for method",
                        "s.toml:11:1: include.1.method: expected one of [\"plain\", \"l2qer\"], got \"awq\"");
    }

    @Test
    void alternativesThatCannotBeAreNamed() throws IOException {
        assertThat(problems("[axes.method]")).first().asString().startsWith("s.toml:1:");
        assertThat(problems("[axes]\n\"a.b\" = [1, 2]\n[axes.x]\np = { \"a.b\" = 3 }\nq = 4"))
                .containsExactlyInAnyOrder(
                        "s.toml:4:7: axes.x.p.\"a.b\": is on another axis already",
                        "s.toml:5:1: axes.x.q: expected a table, got 4");
    }

    @Test
    void zippedListsAreOneAxis() throws IOException {
        assertThat(points("""
            [axes]
            seed = [1, 2]
            [[zip]]
            "quantization.activation.bits" = [6, 8]
            "quantization.attention.left.bits" = [6, 8]
            """))
                .containsExactly(
                        "seed-1_bits-6: seed=1 quantization.activation.bits=6 quantization.attention.left.bits=6",
                        "seed-1_bits-8: seed=1 quantization.activation.bits=8 quantization.attention.left.bits=8",
                        "seed-2_bits-6: seed=2 quantization.activation.bits=6 quantization.attention.left.bits=6",
                        "seed-2_bits-8: seed=2 quantization.activation.bits=8 quantization.attention.left.bits=8");
    }

    @Test
    void aZipIsNamedAfterTheFirstKeysThatTellItsValuesApart() throws IOException {
        assertThat(points("""
            [[zip]]
            "quantization.weight.format" = ["mxint", "int", "int"]
            "quantization.weight.bits" = [3, 3, 4]
            "seed" = [1, 2, 3]
            """))
                .extracting(point -> point.substring(0, point.indexOf(':')))
                .containsExactly("format-mxint_bits-3", "format-int_bits-3", "format-int_bits-4");
    }

    @Test
    void severalZipsAreCombined() throws IOException {
        assertThat(points("""
            [[zip]]
            a = [1, 2]
            b = [1, 2]
            [[zip]]
            c = [5, 6]
            """))
                .containsExactly(
                        "a-1_c-5: a=1 b=1 c=5", "a-1_c-6: a=1 b=1 c=6", "a-2_c-5: a=2 b=2 c=5", "a-2_c-6: a=2 b=2 c=6");
    }

    @Test
    void pointsWhoseValuesMatchAreExcluded() throws IOException {
        assertThat(points("""
            [axes]
            a = [1, 2, 3]
            b = ["x", "y"]
            [[exclude]]
            a = 2
            [[exclude]]
            a = 3
            b = "x"
            """)).containsExactly("a-1_b-x: a=1 b=\"x\"", "a-1_b-y: a=1 b=\"y\"", "a-3_b-y: a=3 b=\"y\"");
    }

    @Test
    void anIncludeAddsKeysToThePointsThatItMatches() throws IOException {
        assertThat(points("""
            [axes]
            a = [1, 2]
            b = [1, 2]
            [[include]]
            a = 1
            c = 5
            [[include]]
            d = 0
            [[include]]
            a = 1
            b = 2
            c = 6
            """))
                .containsExactly(
                        "a-1_b-1: a=1 b=1 c=5 d=0",
                        "a-1_b-2: a=1 b=2 c=6 d=0",
                        "a-2_b-1: a=2 b=1 d=0",
                        "a-2_b-2: a=2 b=2 d=0");
    }

    @Test
    void anIncludeThatMatchesNoPointIsOne() throws IOException {
        assertThat(points("""
            [axes]
            a = [1, 2]
            b = [1, 2]
            constant = [0]
            [[exclude]]
            a = 2
            b = 2
            [[include]]
            a = 3
            b = 1
            [[include]]
            a = 2
            b = 2
            c = 7
            [[include]]
            b = 2
            a = 1
            constant = 1
            """))
                .containsExactly(
                        "a-1_b-1: a=1 b=1 constant=0",
                        "a-1_b-2: a=1 b=2 constant=0",
                        "a-2_b-1: a=2 b=1 constant=0",
                        "a-3_b-1: a=3 b=1 constant=0",
                        "a-2_b-2_c-7: a=2 b=2 constant=0 c=7",
                        "a-1_b-2_constant-1: a=1 b=2 constant=1");
    }

    @Test
    void includesAloneArePoints() throws IOException {
        assertThat(points("""
            [[include]]
            "x.rank" = 1
            [[include]]
            "x.rank" = 1
            seed = 2
            """)).containsExactly("rank-1: x.rank=1", "rank-1_seed-2: seed=2 x.rank=1");
    }

    @Test
    void pointsMayHaveNames() throws IOException {
        assertThat(points("""
            axes.seed = [1, 2]
            [points.plain]
            approximation = []
            "quantization.weight" = { format = "int", bits = 4 }
            [points.as-it-is]
            """))
                .containsExactly(
                        "seed-1: seed=1",
                        "seed-2: seed=2",
                        "plain: approximation=[] quantization.weight={ format = \"int\", bits = 4 }",
                        "as-it-is: ");
    }

    @Test
    void whatHoldsAnotherKeyIsSetBeforeIt() throws IOException {
        assertThat(points("""
            axes."quantization.weight.bits" = [3]
            zip = [{ "quantization.weight" = [{ format = "int" }], "quantization.weight.symmetric" = [true] }]
            """))
                .singleElement()
                .asString()
                .endsWith(": quantization.weight={ format = \"int\" } quantization.weight.bits=3"
                        + " quantization.weight.symmetric=true");
    }

    @Test
    void aKeyIsTheSameHoweverItIsWritten() throws IOException {
        assertThat(points("""
            axes."a . 'b'" = [1, 2]
            exclude = [{ "a.b" = 1 }]
            """)).containsExactly("b-2: a.b=2");
        assertThat(problems("""
            axes."a . 'b'" = [1, 2]
            axes."a.b" = [1, 2]
            include = [{ "x.y" = 1, "x . y" = 2 }]
            zip = [{ "z" = [1, 2], " z" = [1, 2] }]
            """))
                .containsExactly(
                        "s.toml:2:1: axes.\"a.b\": is on another axis already",
                        "s.toml:3:25: include.0.\"x . y\": is there already, written in another way",
                        "s.toml:4:24: zip.0.\" z\": is there already, written in another way");
    }

    @Test
    void reportsAllProblemsWithTheirPlaces() throws IOException {
        assertThat(problems("""
            jobs = 2
            [axes]
            "approximation.l2qer.rank" = []
            seed = 3
            quantization.weight.bits = [3, 4]
            "a..b" = [1]
            "model.memory" = ["auto", "resident", "auto"]
            "evaluation.seq_len" = [1979-05-27]
            [[zip]]
            "quantization.activation.bits" = [6, 8]
            "quantization.bias.bits" = [6, 8, 9]
            [[zip]]
            [[include]]
            [[exclude]]
            [points."a b"]
            [points.x]
            quantization.weight.bits = 3
            [points]
            y = 3
            """))
                .containsExactly(
                        "s.toml:1:1: jobs: unknown key; expected one of [axes, zip, exclude, include, points]",
                        "s.toml:3:1: axes.\"approximation.l2qer.rank\": expected a list of values, got []",
                        "s.toml:4:1: axes.seed: expected a list of values, got 3",
                        "s.toml:5:1: axes.quantization: expected a list of values, got a table; a dotted key stands in"
                                + " quotes here",
                        "s.toml:6:1: axes.\"a..b\": expected the dotted key of a config, unusual parts of it in quotes",
                        "s.toml:7:1: axes.\"model.memory\": has the same values twice",
                        "s.toml:8:25: axes.\"evaluation.seq_len\".0: expected a string, number, true or false, a list"
                                + " or a table, got 1979-05-27",
                        "s.toml:11:1: zip.0.\"quantization.bias.bits\": expected 2 values, as many as"
                                + " quantization.activation.bits has, got 3",
                        "s.toml:12:1: zip.1: expected at least one key with a list of values",
                        "s.toml:13:1: include.0: expected at least one key",
                        "s.toml:14:1: exclude.0: expected at least one key",
                        "s.toml:15:1: points.\"a b\": expected at most 100 letters, digits, '.', '_' and '-', starting"
                                + " with a letter or digit and not ending in .partial",
                        "s.toml:17:1: points.x.quantization: expected a value, got a table; a dotted key stands in"
                                + " quotes here",
                        "s.toml:19:1: points.y: expected a table, got 3");
    }

    @Test
    void anExcludeMustMatch() throws IOException {
        assertThat(problems("""
            axes."quantization.weight.bits" = [3, 4]
            [[zip]]
            a = [1, 2]
            b = [1, 2]
            [[exclude]]
            "quantization.weight.bit" = 3
            [[exclude]]
            "quantization.weight.bits" = 5
            [[exclude]]
            a = 1
            b = 2
            """))
                .containsExactly(
                        "s.toml:6:1: exclude.0.\"quantization.weight.bit\": no axis has this key; did you mean"
                                + " \"quantization.weight.bits\"?",
                        "s.toml:8:1: exclude.1.\"quantization.weight.bits\": expected one of [3, 4], got 5",
                        "s.toml:9:1: exclude.2: matches no point");
    }

    @Test
    void anIncludeMustAddSomething() throws IOException {
        assertThat(problems("""
            [axes]
            a = [1, 2]
            b = [1, 2]
            [[include]]
            a = 1
            b = 2
            [[include]]
            a = 3
            c = 1
            """))
                .containsExactly(
                        "s.toml:4:1: include.0: adds nothing: a point with these values is there already",
                        "s.toml:7:1: include.1: matches no point; to be one of its own it needs a value for b");
    }

    @Test
    void everyNameIsThereOnce() throws IOException {
        assertThat(problems("""
            axes.a = [1, 2]
            [[include]]
            a = 3
            [[include]]
            a = 3
            [points.a-1]
            [points.A-3]
            [points.x]
            [points.X]
            [points."sweep.json"]
            """))
                .containsExactly(
                        "s.toml:4:1: include.1: is the point a-3, which is there already",
                        "s.toml:6:1: points.a-1: there is a point of that name already",
                        "s.toml:7:1: points.A-3: there is a point of that name already",
                        "s.toml:9:1: points.X: there is a point of that name already",
                        "s.toml:10:1: points.\"sweep.json\": is the name of a file of a sweep or a run; take another");
        assertThat(problems("points.'SWEEP.toml' = {}\npoints.'manifest.json' = {}\npoints.'metrics.json' = {}\n"))
                .hasSize(3)
                .allMatch(problem -> problem.endsWith("is the name of a file of a sweep or a run; take another"));
        assertThat(problems("[points.x]\n[points.x]"))
                .singleElement()
                .asString()
                .startsWith("s.toml:2:1: points.x ");
    }

    @Test
    void thereMustBePointsButNotTooMany() throws IOException {
        String none = "s.toml:1:1: no point is left; expected some of [axes], [[zip]], [[include]] and [points.NAME]";
        assertThat(problems("")).containsExactly(none);
        assertThat(problems("axes.a = [1]\nexclude = [{ a = 1 }]")).containsExactly(none);
        String ten = " = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n";
        assertThat(problems("[axes]\na" + ten + "b" + ten + "c" + ten + "d" + ten + "e = [1, 2]"))
                .containsExactly("s.toml:1:1: the axes make 20000 points, expected at most 10000");
        String thousand = " = ["
                + String.join(
                        ", ", IntStream.range(0, 1000).mapToObj(String::valueOf).toList()) + "]\n";
        assertThat(problems("[axes]\na" + thousand + "b" + thousand + "c" + thousand))
                .containsExactly("s.toml:1:1: the axes make 1000000000 points, expected at most 10000");
        assertThat(problems("[axes]\n"
                        + String.join(
                                "",
                                IntStream.range(0, 120)
                                        .mapToObj(i -> "k" + i + thousand)
                                        .toList())))
                .containsExactly(
                        "s.toml:1:1: the axes make more than 9223372036854775807 points, expected at most 10000");
        StringBuilder named = new StringBuilder("axes.seed = [1]\n");
        IntStream.range(0, 10_000)
                .forEach(i -> named.append("points.p").append(i).append(" = {}\n"));
        assertThat(problems(named.toString()))
                .containsExactly("s.toml:1:1: makes 10001 points, expected at most 10000");
        assertThat(problems("[axes]")).contains("s.toml:1:1: axes: expected at least one key with a list of values");
    }
}
