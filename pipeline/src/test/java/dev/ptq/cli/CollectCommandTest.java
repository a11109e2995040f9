package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.report.RunFolders;
import java.io.IOException;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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

    /** Two methods, one of them with a rank, at two widths; the baselines measured beside each. */
    private void writeMethods() throws IOException {
        for (int bits = 3; bits <= 4; bits++) {
            // other formats have bits too, but the same in all runs
            String weights = "[quantization.weight]\nformat = \"int\"\nbits = " + bits
                    + "\n[quantization.activation]\nformat = \"int\"\nbits = 8\n";
            String baselines = "\"full_precision/perplexity/a\": 4.5, \"round_to_nearest/perplexity/a\": " + (10 - bits)
                    + ", \"full_precision/b/acc\": 0.5, ";
            for (String method : List.of("gptq", "l2qer")) {
                boolean isLowRank = method.equals("l2qer");
                double perplexity = (isLowRank ? 6.25 : 6) - 0.25 * bits;
                RunFolders.write(
                        tiny.result(method + bits),
                        "seed = 0\n[[approximation]]\nmethod = \"" + method + "\"\n" + (isLowRank ? "rank = 8\n" : "")
                                + weights,
                        "{" + baselines + "\"perplexity/a\": " + perplexity
                                + ", \"perplexity/a/loss_over/full_precision\": "
                                + 0.1 * bits + ", \"perplexity/a/loss_over/full_precision/low\": " + 0.05 * bits
                                + ", \"perplexity/a/loss_over/full_precision/high\": " + 0.15 * bits
                                + ", \"b/acc\": 0.375, \"b/acc_stderr\": 0.02}");
            }
        }
    }

    private Outcome pivot(String... options) {
        List<String> all = new ArrayList<>(List.of("collect", "DIR/results", "--rows", "method", "--cols", "bits"));
        all.addAll(List.of(options));
        return tiny.execute(all.toArray(String[]::new));
    }

    @Test
    void methodsByBitsAreATableForAPaper() throws IOException {
        writeMethods();
        Outcome markdown = pivot(
                "--value",
                "perplexity/a",
                "--value",
                "b/acc",
                "--baselines",
                "--bold-best",
                "--format",
                "markdown",
                "--rename",
                "gptq=GPTQ",
                "--rename",
                "perplexity/a=PPL");
        assertThat(markdown.err()).isEmpty();
        assertThat(markdown.out()).isEqualTo("""
                | method           | bits 3, PPL | bits 3, b/acc (%) | bits 4, PPL | bits 4, b/acc (%) |
                | :--------------- | ----------: | ----------------: | ----------: | ----------------: |
                | full precision   |        4.50 |             50.00 |        4.50 |             50.00 |
                | round to nearest |        7.00 |                 – |        6.00 |                 – |
                | GPTQ             |    **5.25** |             37.50 |    **5.00** |             37.50 |
                | l2qer            |        5.50 |             37.50 |        5.25 |             37.50 |
                """);
        Outcome latex = pivot(
                "--value",
                "perplexity/a/loss_over/full_precision",
                "--intervals",
                "--format",
                "latex",
                "--caption",
                "Loss & more",
                "--label",
                "tab:loss",
                "--sort",
                "bits 3:desc");
        assertThat(latex.out()).isEqualTo("""
                \\begin{table}
                \\centering
                \\caption{Loss \\& more}
                \\label{tab:loss}
                % \\usepackage{booktabs}
                \\begin{tabular}{lrr}
                \\toprule
                method & bits 3 & bits 4 \\\\
                \\midrule
                gptq & $0.30\\ [0.15, 0.45]$ & $0.40\\ [0.20, 0.60]$ \\\\
                l2qer & $0.30\\ [0.15, 0.45]$ & $0.40\\ [0.20, 0.60]$ \\\\
                \\bottomrule
                \\end{tabular}
                \\end{table}
                """);
    }

    @Test
    void headersOfTwoLevelsSpanTheirColumns() throws IOException {
        writeMethods();
        assertThat(pivot("--value", "perplexity/a", "--value", "b/acc", "--baselines", "--format", "latex")
                        .out())
                .contains("""
                         & \\multicolumn{2}{c}{bits 3} & \\multicolumn{2}{c}{bits 4} \\\\
                        \\cmidrule(lr){2-3}\\cmidrule(lr){4-5}
                        method & perplexity/a & b/acc (\\%) & perplexity/a & b/acc (\\%) \\\\
                        \\midrule
                        full precision & $4.50$ & $50.00$ & $4.50$ & $50.00$ \\\\
                        round to nearest & $7.00$ & -- & $6.00$ & -- \\\\
                        \\midrule
                        gptq""");
    }

    @Test
    void conditionsChooseRunsByTheLastPartOfAKey() throws IOException {
        writeMethods();
        for (String[] each : new String[][] {
            {"bits=3", "gptq3 l2qer3"},
            {"rank>=8", "l2qer3 l2qer4"},
            {"method!=gptq", "l2qer3 l2qer4"},
            {"perplexity/a<5.2", "gptq4"}
        }) {
            assertThat(tiny.execute("collect", "DIR/results", "--columns", "run", "--where", each[0])
                            .out()
                            .lines()
                            .skip(1))
                    .as(each[0])
                    .containsExactly(each[1].split(" "));
        }
        assertThat(tiny.execute("collect", "DIR/results", "--where", "bits=5").err())
                .contains("--where: of 4 runs none is left");
        assertThat(tiny.execute("collect", "DIR/results", "--where", "bitz=5").err())
                .contains("--where: no run has a setting or metric \"bitz\"; did you mean");
        assertThat(tiny.execute("collect", "DIR/results", "--where", "bits<three")
                        .err())
                .contains("--where: expected a number behind <, got \"bits<three\"");
    }

    @Test
    void runsInOneCellDifferInTheirSeedAlone() throws IOException {
        writeRuns();
        String[] byBits = {"collect", "DIR/results", "--rows", "bits", "--value", "perplexity/a", "--format"};
        assertThat(tiny.execute(with(byBits, "markdown")).out()).isEqualTo("""
                | bits | perplexity/a |
                | ---: | -----------: |
                |    3 |  7.25 ± 0.35 |
                |    4 |  6.25 ± 0.35 |
                """);
        assertThat(tiny.execute(with(byBits, "jsonl")).out())
                .startsWith("{\"bits\":3,\"perplexity/a/mean\":7.25,\"perplexity/a/std\":0.35");
        Outcome mixed = tiny.execute("collect", "DIR/results", "--rows", "seed", "--value", "perplexity/a");
        assertThat(mixed.code()).isEqualTo(2);
        assertThat(mixed.err())
                .contains(
                        "--rows: row 0: 2 runs that differ in quantization.weight.bits; name these in --rows or --cols, or"
                                + " choose with --where");
    }

    @Test
    void aSeedWithoutEffectIsTold() throws IOException {
        for (int seed = 0; seed < 2; seed++) {
            RunFolders.write(tiny.result("seed" + seed), "seed = " + seed + "\nbits = 3\n", "{\"perplexity/a\": 5}");
        }
        assertThat(tiny.execute("collect", "DIR/results", "--rows", "bits", "--value", "perplexity/a")
                        .err())
                .contains("row 3: 2 runs with the same perplexity/a: the seed has no effect on it");
    }

    @Test
    void optionsThatDoNotGoTogetherAreRefused() throws IOException {
        writeRuns();
        assertThat(tiny.execute("collect", "DIR/results", "--rows", "bits").err())
                .contains("--rows and --value: expected both, got only --rows");
        assertThat(tiny.execute("collect", "DIR/results", "--cols", "bits").err())
                .contains("--cols: it is for tables with --rows and --value");
        assertThat(pivot("--value", "perplexity/a", "--columns", "run").err())
                .contains("--columns: it is not for tables with --rows");
        assertThat(pivot("--value", "perplexity/b").err()).contains("no complete run has a metric \"perplexity/b\"");
        assertThat(tiny.execute("collect", "DIR/results", "--caption", "x").err())
                .contains("--caption and --label: expected --format latex, got csv");
    }

    private static String[] with(String[] options, String last) {
        List<String> all = new ArrayList<>(List.of(options));
        all.add(last);
        return all.toArray(String[]::new);
    }
}
