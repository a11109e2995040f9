package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.report.ResultTable.Column;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResultTableTest {
    @TempDir
    Path folder;

    private List<ResultRow> rows = List.of();

    @BeforeEach
    void prepare() throws IOException {
        RunFolders.write(folder.resolve("plain"), "seed = 0\n[q]\nbits = 4\n", """
                {"perplexity/a": 5.0250, "perplexity/a/loss": 1.6144, "bits_per_weight": 4.5}
                """);
        String step = "[[approximation]]\nmethod = \"lqer\"\nrank = ";
        RunFolders.write(folder.resolve("rank-16"), "seed = 0\n" + step + "16\n[q]\nbits = 4\n", """
                {"perplexity/a": 4.4484, "perplexity/b": 7, "perplexity/a/loss": 1.4925, "bits_per_weight": 7.9}
                """);
        RunFolders.write(folder.resolve("rank-8"), "seed = 0\n" + step + "8\n[q]\nbits = 4\n", """
                {"perplexity/a": 4.6, "perplexity/b": 8, "bits_per_weight": 6.2, "loss_recovered/a": 0.5}
                """);
        RunFolders.write(folder.resolve("sweep.json"), """
                {"points": [{"name": "rank-99", "state": "failed", "error": "=rank, \\"too\\" large"}]}
                """);
        rows = Results.read(List.of(folder)).rows();
    }

    @Test
    void aRowForEachRunWithWhatTellsThemApart() {
        assertThat(CsvText.of(ResultTable.of(rows))).isEqualTo("""
                run,approximation,approximation.lqer.rank,perplexity/a,perplexity/b,loss_recovered/a,perplexity/a/loss,bits_per_weight,seconds,peak_memory_bytes,state,error
                plain,,,5.0250,,,1.6144,4.5,0.3,1048576,done,
                rank-8,lqer,8,4.6,8,0.5,,6.2,0.3,1048576,done,
                rank-16,lqer,16,4.4484,7,,1.4925,7.9,0.3,1048576,done,
                rank-99,,,,,,,,,,failed,"'=rank, ""too"" large"
                """);
    }

    @Test
    void sharedKeysAreColumnsIfAskedFor() {
        assertThat(ResultTable.complete(rows).columns().stream()
                        .map(Column::name)
                        .limit(7))
                .containsExactly(
                        "run",
                        "seed",
                        "approximation",
                        "approximation.lqer.method",
                        "approximation.lqer.rank",
                        "q.bits",
                        "perplexity/a");
        assertThat(CsvText.of(ResultTable.complete(rows).select(List.of("seed", "*bits*", "run"))))
                .isEqualTo("""
                seed,q.bits,bits_per_weight,run
                0,4,4.5,plain
                0,4,6.2,rank-8
                0,4,7.9,rank-16
                "",,,rank-99
                """);
    }

    @Test
    void columnsThatAreNotThereAreNamed() {
        ResultTable table = ResultTable.of(rows);

        assertThatThrownBy(() -> table.select(List.of("run", "perplexty/a", "q*")))
                .isInstanceOf(ConfigException.class)
                .hasMessage("there is no column \"perplexty/a\"; did you mean \"perplexity/a\"?\n"
                        + "there is no column \"q*\"");
    }

    @Test
    void theLongFormHasARowForEachValue() {
        ResultTable table = ResultTable.of(rows).select(List.of("run", "*.rank", "perplexity/b", "error"));

        assertThat(CsvText.of(table.longForm())).isEqualTo("""
                run,key,value
                rank-8,approximation.lqer.rank,8
                rank-8,perplexity/b,8
                rank-16,approximation.lqer.rank,16
                rank-16,perplexity/b,7
                rank-99,error,"'=rank, ""too"" large"
                """);
    }

    @Test
    void papersGetResultsOnly() {
        assertThat(ResultTable.of(rows).forPaper().columns())
                .extracting(Column::name)
                .containsExactly(
                        "run",
                        "approximation",
                        "approximation.lqer.rank",
                        "perplexity/a",
                        "perplexity/b",
                        "loss_recovered/a",
                        "bits_per_weight",
                        "error");
        assertThat(ResultTable.of(rows.subList(0, 3)).forPaper().columns())
                .extracting(Column::name)
                .doesNotContain("error");
    }

    @Test
    void listsAreMergedInTheOrderOfEach() {
        assertThat(ResultTable.merged(List.of(
                        List.of("a", "c", "z"),
                        List.of("a", "b", "c", "y", "z"),
                        List.of("x", "z", "a", "q"),
                        List.of())))
                .containsExactly("x", "a", "q", "b", "c", "y", "z");
    }

    @Test
    void aTableThatIsTooLargeIsRefused() throws IOException {
        Path wide = folder.resolve("wide");
        StringBuilder metrics = new StringBuilder("{\"m\": 1");
        IntStream.range(0, 20_000)
                .forEach(i -> metrics.append(", \"m").append(i).append("\": ").append(i));
        RunFolders.write(wide.resolve("run"), "seed = 0\n", metrics.append('}').toString());
        assertThat(ResultTable.of(Results.read(List.of(wide)).rows()).columns()).hasSize(20_006);
        String points = IntStream.range(0, 1000)
                .mapToObj(i -> "{\"name\": \"p" + i + "\", \"state\": \"failed\"}")
                .collect(Collectors.joining(", ", "{\"points\": [", "]}"));
        RunFolders.write(wide.resolve("sweep.json"), points);
        List<ResultRow> many = Results.read(List.of(wide)).rows();

        assertThatThrownBy(() -> ResultTable.of(many))
                .isInstanceOf(ConfigException.class)
                .hasMessage("expected at most 20000000 cells in a table, got 1001 runs with 20003 settings and metrics"
                        + " between them; collect fewer folders at once");
    }
}
