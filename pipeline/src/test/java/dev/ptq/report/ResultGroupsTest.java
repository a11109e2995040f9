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
