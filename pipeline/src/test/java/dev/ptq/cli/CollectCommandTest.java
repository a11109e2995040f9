package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.report.RunFolders;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVRecord;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CollectCommandTest {
    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private void writeRuns() throws IOException {
        for (int seed = 0; seed < 2; seed++) {
            for (int bits = 3; bits <= 4; bits++) {
                RunFolders.write(
                        tiny.result("w" + bits + "-seed" + seed),
                        "seed = " + seed + "\n[quantization.weight]\nformat = \"mxint\"\nbits = " + bits + "\n",
                        "{\"perplexity/a\": " + (10 - bits + 0.5 * seed) + "}");
            }
        }
    }

    @Test
    void realRunsBecomeRowsWithAllTheirMetrics() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "rank-16", "--set", "approximation.l2qer.rank=16");
        tiny.run(TinyExperiment.CONFIG, "rank-4");
        Locale before = Locale.getDefault();
        Locale.setDefault(Locale.GERMANY);
        Outcome outcome;
        try {
            outcome = tiny.execute("collect", "DIR/results");
        } finally {
            Locale.setDefault(before);
        }

        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.code()).isZero();
        try (CSVParser parser = CSVFormat.DEFAULT
                .builder()
                .setHeader()
                .setSkipHeaderRecord(true)
                .get()
                .parse(new StringReader(outcome.out()))) {
            List<CSVRecord> rows = parser.getRecords();
            assertThat(parser.getHeaderNames())
                    .startsWith("run", "approximation.l2qer.rank", "full_precision/perplexity/tales")
                    .endsWith("bits_per_weight", "seconds", "peak_memory_bytes", "state", "error");
            assertThat(rows).extracting(row -> row.get("run")).containsExactly("rank-4", "rank-16");
            assertThat(rows)
                    .extracting(row -> row.get("approximation.l2qer.rank"))
                    .containsExactly("4", "16");
            for (CSVRecord row : rows) {
                Map<String, Double> metrics = tiny.metrics(row.get("run"));
                metrics.forEach((name, value) ->
                        assertThat(Double.parseDouble(row.get(name))).as(name).isEqualTo(value));
                assertThat(row.get("perplexity/tales/protocol")).isEqualTo("gptq");
                assertThat(Double.parseDouble(row.get("seconds"))).isPositive();
                assertThat(row.get("error")).isEmpty();
            }
        }
    }

    @Test
    void theTableGoesToAFileWhole() throws IOException {
        writeRuns();
        Outcome printed = tiny.execute("collect", "DIR/results", "--columns", "run,seed,perplexity/*");
        Outcome written =
                tiny.execute("collect", "DIR/results", "--columns", "run,seed,perplexity/*", "--out", "DIR/all.csv");

        assertThat(printed.out()).isEqualTo("""
                run,seed,perplexity/a
                w3-seed0,0,7.0
                w3-seed1,1,7.5
                w4-seed0,0,6.0
                w4-seed1,1,6.5
                """);
        assertThat(written).isEqualTo(new Outcome(0, "table: DIR/all.csv\n", ""));
        assertThat(folder.resolve("all.csv")).hasContent(printed.out());
        assertThat(folder.resolve("all.csv.partial")).doesNotExist();
    }

    @Test
    void groupsAreMeansOverSeeds() throws IOException {
        writeRuns();
        Outcome outcome = tiny.execute(
                "collect",
                "DIR/results",
                "--group-by",
                "quantization.weight.bits",
                "--format",
                "markdown",
                "--bold-best");

        assertThat(outcome).isEqualTo(new Outcome(0, """
                | quantization.weight.bits |  n |    perplexity/a |
                | -----------------------: | -: | --------------: |
                |                        3 |  2 |     7.25 ± 0.35 |
                |                        4 |  2 | **6.25 ± 0.35** |
                """, "averaged over seed\n"));
    }

    @Test
    void theLongFormSaysOfEveryValueWhoseItIs() throws IOException {
        writeRuns();

        assertThat(tiny.execute("collect", "DIR/results/w3-seed0", "--long", "--columns", "seed,perplexity/a")
                        .out())
                .isEqualTo("run,key,value\nw3-seed0,seed,0\nw3-seed0,perplexity/a,7.0\n");
        assertThat(tiny.execute("collect", "DIR/results", "--long", "--columns", "*/a/*", "--group-by", "seed")
                        .out())
                .startsWith("seed,key,value\n0,perplexity/a/mean,6.5\n0,perplexity/a/std,0.7071");
    }

    @Test
    void keysThatAllShareComeWhenAskedFor() throws IOException {
        writeRuns();

        assertThat(tiny.execute("collect", "DIR/results").out().lines())
                .first()
                .isEqualTo("run,seed,quantization.weight.bits,perplexity/a,seconds,peak_memory_bytes,state,error");
        assertThat(tiny.execute("collect", "DIR/results", "--all-keys").out().lines())
                .first()
                .asString()
                .startsWith("run,seed,quantization.weight.format,quantization.weight.bits,");
    }

    @Test
    void whatIsDamagedIsARowAndAWarning() throws IOException {
        writeRuns();
        Files.writeString(tiny.result("w4-seed0/metrics.json"), "{");
        Outcome outcome = tiny.execute("collect", "DIR/results", "--columns", "run,state,perplexity/a");

        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).contains("w4-seed0,damaged,\n", "w4-seed1,done,6.5\n");
        assertThat(outcome.err())
                .isEqualTo("warning: w4-seed0: metrics.json: not valid JSON: "
                        + "Unexpected end-of-input: expected close marker for Object\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "DIR/empty | DIR/empty: no runs in it; a run is a folder with manifest.json and metrics.json",
                "DIR/no | DIR/no: no such folder",
                "DIR/results --columns runn | --columns: there is no column \"runn\"; did you mean \"run\"?",
                "DIR/results --group-by sed | --group-by: no config has a key \"sed\"; did you mean \"seed\"?",
                "DIR/results --long --format latex | --long: expected --format csv, got latex",
                "DIR/results --bold-best | --bold-best: expected --format markdown or latex, got csv",
                "DIR/results --out DIR/no/x.csv | DIR/no/x.csv: there is no such folder to write it to",
                "DIR/results --out DIR/empty | DIR/empty: expected a file to write, found a folder",
            })
    void whatIsWrongIsSaid(String arguments, String problem) throws IOException {
        writeRuns();
        Files.createDirectory(folder.resolve("empty"));

        assertThat(tiny.execute(("collect " + arguments).split(" ", -1))).isEqualTo(new Outcome(2, "", problem + "\n"));
    }
}
