package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.report.ResultTable.Column;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResultGroupsTest {
    @TempDir
    Path folder;

    private void run(String name, int seed, String rank, String metrics) throws IOException {
        String step = rank.isEmpty() ? "" : "[[approximation]]\nmethod = \"lqer\"\nrank = " + rank + "\n";
        RunFolders.write(folder.resolve(name), "seed = " + seed + "\nname = \"all\"\n" + step, metrics);
    }

    private List<ResultRow> rows() throws IOException {
        return Results.read(List.of(folder)).rows();
    }

    /** Of 2, 4 and 9 the mean is 5 and the squares are 9, 1 and 16: 26 / 2 = 13. Of 1 and 4, 2.5 and 2 * 2.25 / 1. */
    @Test
    void meansAndSpreadsAreThoseOfTheRunsThatAgree() throws IOException {
        run("a", 0, "16", "{\"p\": 2, \"q\": 0.1, \"word\": \"gptq\", \"p/low\": 1}");
        run("b", 1, "16", "{\"p\": 4, \"q\": 0.1, \"word\": \"gptq\", \"p/low\": 1}");
        run("c", 2, "16", "{\"p\": 9, \"q\": 0.1, \"word\": \"gptq\", \"p/low\": 1}");
        run("d", 0, "8", "{\"p\": 1, \"q\": 3}");
        run("e", 1, "8", "{\"p\": 4}");
        run("f", 0, "", "{\"p\": 7, \"q\": 1e3}");
        ResultGroups groups = ResultGroups.of(rows(), List.of("approximation.lqer.rank"));
        ResultTable table = groups.table().select(List.of("approx*", "n", "p/*", "q/*"));

        assertThat(groups.notes()).containsExactly("averaged over seed");
        assertThat(CsvText.of(table))
                .isEqualTo("approximation.lqer.rank,n,p/mean,p/std,q/mean,q/std,q/n\n"
                        + "\"\",1,7.0,,1000.0,,1\n"
                        + "8,2,2.5," + Math.sqrt(4.5) + ",3.0,,1\n"
                        + "16,3,5.0," + Math.sqrt(13) + ",0.1,0.0,3\n");
        assertThat(groups.table().columns())
                .extracting(Column::name)
                .contains("seconds/mean", "seconds/std", "peak_memory_bytes/mean")
                .doesNotContain("word/mean", "p/low/mean");
    }

    @Test
    void runsThatMeasuredTheSameHaveNoSpread() throws IOException {
        run("a", 0, "8", "{\"p\": 2, \"q\": 1}");
        run("b", 1, "8", "{\"p\": 2, \"q\": 1}");
        run("c", 0, "16", "{\"p\": 2, \"q\": 1}");
        run("d", 1, "16", "{\"p\": 2, \"q\": 3}");
        ResultGroups groups = ResultGroups.of(rows(), List.of("approximation.lqer.rank"));

        assertThat(groups.notes())
                .containsExactly("averaged over seed", "8: all 2 runs measured the same: the seed had no effect");
        assertThat(CsvText.of(groups.table().select(List.of("*rank", "p/*", "q/*"))))
                .isEqualTo("approximation.lqer.rank,p/mean,p/std,q/mean,q/std\n"
                        + "8,2.0,,1.0,\n"
                        + "16,2.0,0.0,2.0," + Math.sqrt(2) + "\n");
        ResultGroups all = ResultGroups.of(
                rows().stream().filter(row -> !row.run().equals("d")).toList(), List.of("name"));
        assertThat(all.notes())
                .containsExactlyInAnyOrder(
                        "averaged over seed, approximation.lqer.rank",
                        "all: all 3 runs measured the same: no effect had seed, approximation.lqer.rank");
    }

    @Test
    void alternativesOfASweepMakeGroupsAndColumns() throws IOException {
        run("s/plain_w3", 0, "", "{\"p\": 4}");
        run("s/plain_w4", 0, "", "{\"p\": 6}");
        run("s/lqer_w3", 0, "8", "{\"p\": 1}");
        RunFolders.write(folder.resolve("s/sweep.json"), """
            {"points": [
              {"name": "plain_w3", "state": "done", "axes": {"method": "plain", "bits": "w3"}},
              {"name": "plain_w4", "state": "done", "axes": {"method": "plain", "bits": "w4"}},
              {"name": "lqer_w3", "state": "done", "axes": {"method": "mine", "bits": "w3"}},
              {"name": "lqer_w4", "state": "failed", "error": "no", "axes": {"method": "mine", "bits": "w4", "odd": 3}},
              {"name": "other", "state": "pending", "axes": 3}]}
            """);

        assertThat(CsvText.of(ResultTable.of(rows()).select(List.of("run", "method", "bits", "p", "state"))))
                .isEqualTo("""
                        run,method,bits,p,state
                        s/lqer_w3,mine,w3,1,done
                        s/lqer_w4,mine,w4,,failed
                        s/plain_w3,plain,w3,4,done
                        s/plain_w4,plain,w4,6,done
                        """);
        assertThat(CsvText.of(
                        ResultGroups.of(rows(), List.of("method")).table().select(List.of("method", "n", "p/mean"))))
                .isEqualTo("method,n,p/mean\nmine,1,1.0\nplain,2,5.0\n");
        PivotTable pivot = PivotTable.of(
                rows(), new PivotTable.Layout(List.of("method"), List.of("bits"), List.of("p"), false, false));
        assertThat(CsvText.of(pivot.table())).isEqualTo("method,w3,w4\nmine,1,\nplain,4,6\n");
        RunFamilies families = RunFamilies.of(rows());
        assertThat(rows().stream().map(families::kind)).containsExactly("mine", "mine", "plain", "plain");
    }

    @Test
    void severalKeysMakeAGroup() throws IOException {
        run("a", 0, "8", "{\"p\": 1}");
        run("b", 10, "8", "{\"p\": 2}");
        run("c", 2, "8", "{\"p\": 3}");
        run("d", 2, "4", "{\"p\": 4}");

        assertThat(CsvText.of(ResultGroups.of(rows(), List.of("approximation.lqer.rank", "seed"))
                        .table()
                        .select(List.of("*rank", "seed", "n", "p/mean"))))
                .isEqualTo("approximation.lqer.rank,seed,n,p/mean\n4,2,1,4.0\n8,0,1,1.0\n8,2,1,3.0\n8,10,1,2.0\n");
    }

    @Test
    void whatFailedOrHasNoConfigIsInNoGroup() throws IOException {
        run("a", 0, "8", "{\"p\": 1}");
        run("b", 1, "8", "{\"p\": ");
        RunFolders.write(folder.resolve("c/wikitext2.json"), "{\"perplexity\": 2.0}");
        ResultGroups groups = ResultGroups.of(rows(), List.of("name"));

        assertThat(CsvText.of(groups.table().select(List.of("name", "n", "p/mean"))))
                .isEqualTo("name,n,p/mean\nall,1,1.0\n");
        assertThat(groups.notes())
                .containsExactly("b: in no group, as it has an error", "c: in no group, as it has no config");
    }

    @Test
    void keysThatAreNotThereAreNamed() throws IOException {
        run("a", 0, "8", "{\"p\": 1}");
        List<ResultRow> rows = rows();

        assertThatThrownBy(() -> ResultGroups.of(rows, List.of("sede", "seed")))
                .isInstanceOf(ConfigException.class)
                .hasMessage("no config has a key \"sede\"; did you mean \"seed\"?");
    }
}
