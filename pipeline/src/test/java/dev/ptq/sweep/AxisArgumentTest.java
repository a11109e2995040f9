package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigException;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AxisArgumentTest {
    @TempDir
    Path folder;

    private Path config;

    @BeforeEach
    void prepare() throws IOException {
        SyntheticModel.llama().vocabulary(259).heads(4, 2).tokenizer().write(folder.resolve("llama"));
        config = Files.writeString(folder.resolve("c.toml"), """
            [model]
            path = "llama"
            [[approximation]]
            method = "lqer"
            rank = 4
            [quantization]
            weight = { format = "int", bits = 4 }
            activation = { format = "int", bits = 8 }
            """);
    }

    private List<String> points(String... axes) throws IOException {
        return Sweep.read(Optional.empty(), List.of(axes), config, List.of(), folder.resolve("results"), "t")
                .points()
                .stream()
                .map(point -> point.name() + ": " + String.join(" ", point.overrides()))
                .toList();
    }

    private List<String> problems(String... axes) {
        try {
            return List.of("accepted: " + points(axes));
        } catch (ConfigException e) {
            return e.problems().stream()
                    .map(problem -> problem.replace(folder + "/", ""))
                    .toList();
        } catch (IOException e) {
            return List.of(e.toString());
        }
    }

    @Test
    void theLastPartsOfAKeyDo() throws IOException {
        assertThat(points("rank=2,4", "weight.bits=3,4"))
                .containsExactly(
                        "rank-2_bits-3: approximation.lqer.rank=2 quantization.weight.bits=3",
                        "rank-2_bits-4: approximation.lqer.rank=2 quantization.weight.bits=4",
                        "rank-4_bits-3: approximation.lqer.rank=4 quantization.weight.bits=3",
                        "rank-4_bits-4: approximation.lqer.rank=4 quantization.weight.bits=4");
        assertThat(points("seed=1, 2")).containsExactly("seed-1: seed=1", "seed-2: seed=2");
    }

    @Test
    void severalKeysThatFitAreListed() {
        assertThat(problems("bits=3,4", "rnak=1", "rank=1,2", "approximation.lqer.rank=3", "rank", "seed=two words"))
                .containsExactly(
                        "--axis bits=3,4: bits fits several keys: approximation.lqer.factor.bits,"
                                + " quantization.weight.bits, quantization.activation.bits; write as much of one as only"
                                + " it has",
                        "--axis rnak=1: no key of c.toml ends in rnak; did you mean \"rank\"?",
                        "--axis approximation.lqer.rank=3: approximation.lqer.rank is on another axis already",
                        "--axis rank: expected KEY=VALUE,VALUE",
                        "--axis seed=two words: expected values as in a TOML file with commas between them, text in"
                                + " quotes");
    }

    @Test
    void onlyCommasAtTheTopLevelSeparate() {
        assertThat(Assignment.values("a,'b,c',[1, 2],{ d = \"e,\\\",f\", g = [3, 4] }"))
                .contains(List.of("a", "b,c", List.of(1L, 2L), java.util.Map.of("d", "e,\",f", "g", List.of(3L, 4L))));
        assertThat(Assignment.values("1,,2")).isEmpty();
        assertThat(Assignment.values("[1,2")).isEmpty();
    }

    @Test
    void axesOfAFileAndOfTheCommandLineGoTogether() throws IOException {
        Path file = Files.writeString(folder.resolve("s.toml"), "[axes]\nseed = [1, 2]");
        Sweep sweep =
                Sweep.read(Optional.of(file), List.of("rank=8"), config, List.of(), folder.resolve("results"), "t");
        assertThat(sweep.points().stream().map(Point::name)).containsExactly("seed-1", "seed-2");
        assertThat(sweep.points().get(0).overrides()).containsExactly("seed=1", "approximation.lqer.rank=8");
        assertThat(sweep.text()).isEqualTo("[axes]\nseed = [1, 2]");
        assertThatThrownBy(() -> Sweep.read(
                        Optional.of(Files.writeString(file, "[[zip]]\nseed = [1, 2]")),
                        List.of("seed=3,4"),
                        config,
                        List.of(),
                        folder.resolve("results"),
                        "t"))
                .hasMessageContaining("is on another axis already");
    }

    @Test
    void withoutAFileOneIsWritten() throws IOException {
        Sweep sweep =
                Sweep.read(Optional.empty(), List.of("rank=2,4"), config, List.of(), folder.resolve("results"), "t");
        Path written = Files.writeString(folder.resolve("sweep.toml"), sweep.text());
        assertThat(SweepFile.read(written).stream().map(Point::overrides))
                .containsExactly(List.of("approximation.lqer.rank=2"), List.of("approximation.lqer.rank=4"));
    }

    @Test
    void pathsOfASweepFileStartAtItsFolder() throws IOException {
        Files.createDirectories(folder.resolve("sweeps"));
        Files.writeString(folder.resolve("sweeps/text.txt"), "a lamp under the orchard ".repeat(20));
        Path file = Files.writeString(
                folder.resolve("sweeps/s.toml"),
                "[axes]\nseed = [1, 2]\nevaluation = [{ perplexity = [{ dataset = \"text.txt\", seq_len = 16 }] }]");

        List<CheckedPoint> points = Sweep.read(
                        Optional.of(file), List.of(), config, List.of(), folder.resolve("results"), "t")
                .check();

        assertThat(points.get(0).point().overrides())
                .contains("evaluation={ perplexity = [{ dataset = \"" + folder.resolve("sweeps/text.txt")
                        + "\", seq_len = 16 }] }");
    }
}
