package dev.ptq.report;

import static dev.ptq.report.ParsedPage.elements;
import static dev.ptq.report.ParsedPage.rows;
import static dev.ptq.report.ParsedPage.withClass;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TimeZone;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import tools.jackson.databind.json.JsonMapper;

class ReportPageTest {
    private static final List<String> KINDS = List.of(
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.up_proj",
            "mlp.down_proj");

    @TempDir
    Path folder;

    private ParsedPage page() throws IOException {
        return ParsedPage.of(html());
    }

    private String html() throws IOException {
        return ReportPage.html(Results.read(List.of(folder)), "results", "ptq test");
    }

    private static String config(String method, int rank, int bits) {
        return "seed = 1\n[[approximation]]\nmethod = \"" + method + "\"\nrank = " + rank
                + "\n[quantization.weight]\nformat = \"mxint\"\nbits = " + bits + "\n";
    }

    private static String metrics(double perplexity, double bits, String more) {
        return "{\"perplexity/a\": " + perplexity + ", \"full_precision/perplexity/a\": 4.0,"
                + "\"round_to_nearest/perplexity/a\": 9.0, \"bits_per_weight\": " + bits + more + "}";
    }

    /** Two methods, two ranks, and one without a correction. */
    private void writeSweep() throws IOException {
        for (String method : List.of("lqer", "l2qer")) {
            for (int rank : new int[] {8, 16}) {
                double perplexity = 8 - rank / 10.0 - (method.equals("lqer") ? 0 : 0.2);
                RunFolders.write(
                        folder.resolve(method + "-" + rank),
                        config(method, rank, 3),
                        metrics(
                                perplexity,
                                3 + rank / 16.0,
                                ", \"arc_easy/acc\": 0.5, \"arc_easy/acc_stderr\": 0.02, \"arc_easy/acc_norm\": 0.4,"
                                        + "\"arc_easy/num_fewshot\": 0, \"lambada/perplexity\": 12.5"));
            }
        }
        RunFolders.write(
                folder.resolve("plain"),
                "seed = 1\napproximation = []\n[quantization.weight]\nformat = \"mxint\"\nbits = 3\n",
                metrics(9, 2.5, ", \"arc_easy/acc\": 0.45"));
    }

    @Test
    void chartsHaveAPointForEachRun() throws IOException {
        writeSweep();
        ParsedPage page = page();

        assertThat(page.charts("bits")).singleElement().satisfies(chart -> {
            assertThat(titles(withClass(chart, "mark")))
                    .containsExactlyInAnyOrder(
                            "l2qer-8: perplexity 7.000, 3.500 bits per weight",
                            "l2qer-16: perplexity 6.200, 4.000 bits per weight",
                            "lqer-8: perplexity 7.200, 3.500 bits per weight",
                            "lqer-16: perplexity 6.400, 4.000 bits per weight",
                            "plain: perplexity 9.000, 2.500 bits per weight");
            assertThat(titles(withClass(chart, "series"))).containsExactly("Pareto front", "full precision 4.000");
            assertThat(texts(chart)).contains("l2qer", "lqer", "no correction", "bits per weight", "perplexity");
        });
        assertThat(page.section("bits").getTextContent()).contains("Front: plain, l2qer-8, l2qer-16");
        assertThat(page.charts("rank")).singleElement().satisfies(chart -> {
            assertThat(titles(withClass(chart, "mark")))
                    .hasSize(4)
                    .contains("lqer-8: perplexity 7.200, rank 8", "l2qer-16: perplexity 6.200, rank 16");
            assertThat(titles(withClass(chart, "series")))
                    .containsExactlyInAnyOrder("full precision 4.000", "round to nearest 9.000", "l2qer", "lqer");
            assertThat(texts(chart)).contains("8", "16").doesNotContain("round to nearest 9.000");
        });
    }

    @Test
    void everyTaskAndMetricHasBarsWithTheirErrors() throws IOException {
        writeSweep();
        List<Element> charts = page().charts("tasks");

        assertThat(charts)
                .extracting(chart -> titles(List.of(chart)).get(0))
                .containsExactly("arc_easy/acc", "arc_easy/acc_norm", "lambada/perplexity");
        List<Element> bars = withClass(charts.get(0), "mark");
        assertThat(titles(bars))
                .containsExactly(
                        "l2qer-8: 0.5000 ± 0.020",
                        "l2qer-16: 0.5000 ± 0.020",
                        "lqer-8: 0.5000 ± 0.020",
                        "lqer-16: 0.5000 ± 0.020",
                        "plain: 0.4500");
        assertThat(bars).extracting(bar -> elements(bar, "line").size()).containsExactly(3, 3, 3, 3, 0);
        assertThat(withClass(charts.get(1), "mark")).hasSize(4);
        assertThat(texts(charts.get(2))).contains("perplexity, lower is better");
    }

    @Test
    void adaptedFiguresSayThatTheyAreTransductiveAndAreNoTask() throws IOException {
        RunFolders.write(folder.resolve("plain"), config("lqer", 8, 3), metrics(7, 3, ", \"arc_easy/acc\": 0.5"));
        assertThat(page().section("runs").getTextContent()).doesNotContain("transductive");
        RunFolders.write(
                folder.resolve("adapted"), config("lqer", 8, 3), metrics(7, 3, ", \"adapted/perplexity/a\": 6.5"));
        ParsedPage page = page();

        assertThat(page.section("runs").getTextContent()).contains("adapted/perplexity/a", "transductive");
        assertThat(page.charts("tasks")).hasSize(1);
    }

    @Test
    void theTableHasSettingsThatDifferAndResultsWithAllDigitsToSortBy() throws IOException {
        writeSweep();
        Element table = elements(page().section("runs"), "table").get(0);

        assertThat(elements(table, "button"))
                .extracting(Element::getTextContent)
                .startsWith("run", "approximation", "approximation.lqer.rank")
                .contains("perplexity/a", "arc_easy/acc", "bits_per_weight", "seconds", "peak memory, MiB", "state")
                .doesNotContain("seed", "arc_easy/num_fewshot", "error");
        assertThat(rows(table)).hasSize(5).extracting(row -> row.get(0)).startsWith("l2qer-8", "l2qer-16");
        assertThat(elements(table, "td"))
                .extracting(cell -> cell.getAttribute("data-value"))
                .contains("7.2", "1048576");
    }

    @Test
    void settingsAreListedByValueAndProvenanceOnceWhereItIsShared() throws IOException {
        writeSweep();
        ParsedPage page = page();

        assertThat(rows(elements(page.section("settings"), "table").get(0)))
                .contains(
                        List.of("approximation", "lqer", "2: lqer-8, lqer-16"),
                        List.of("approximation.l2qer.rank", "16", "1: l2qer-16"));
        assertThat(rows(elements(page.section("settings"), "table").get(1)))
                .contains(List.of("seed", "1"), List.of("quantization.weight.bits", "3"));
        List<Element> tables = elements(page.section("provenance"), "table");
        assertThat(rows(tables.get(0)))
                .contains(List.of("ptq", "1"), List.of("fingerprint", "00"), List.of("seconds", "60.0"));
        assertThat(rows(tables.get(1))).contains(List.of("plain", "(0.1)", "0.2"));
        assertThat(rows(tables.get(2))).contains(List.of("plain", "quantize", "1", "2026-01-01T00:00:00Z", "1"));
    }

    @Test
    void errorsAreShownBlockByBlockBeforeAndAfter() throws IOException {
        Path run = RunFolders.write(folder.resolve("run"), config("lqer", 8, 3), metrics(7, 3, ""));
        writeLayers(run, 2);
        ParsedPage page = page();

        List<Element> tables = elements(page.section("errors"), "table");
        assertThat(tables).hasSize(2);
        assertThat(rows(tables.get(0))).hasSize(7).contains(List.of("self_attn.q_proj", "10.0", "11.0"));
        assertThat(rows(tables.get(1))).hasSize(7).contains(List.of("mlp.down_proj", "8.0", "–"));
        assertThat(withClass(tables.get(0), "h8")).hasSize(7);
        assertThat(withClass(tables.get(1), "h0")).hasSize(13);
    }

    /** The last linear is not corrected, nor is what is no part of a block shown; a trained block has no such errors. */
    private static void writeLayers(Path run, int blocks) throws IOException {
        StringBuilder quantize = new StringBuilder("module,format,relative_error\nlm_head,none,0.5\n");
        StringBuilder approximate = new StringBuilder("module,method,error_before,error_after\n");
        for (int block = 0; block < blocks; block++) {
            approximate.append("blocks.").append(block).append(",omniquant,,\n");
            for (String kind : KINDS) {
                String module = "model.layers." + block + "." + kind;
                quantize.append(module)
                        .append(",\"a, b\",")
                        .append(0.1 + block / 100.0)
                        .append('\n');
                if (block == 0 || !kind.equals("mlp.down_proj")) {
                    approximate.append(module).append(",lqer,0.1,").append(0.08).append('\n');
                }
            }
        }
        RunFolders.write(run.resolve("quantize/layers.csv"), quantize.toString());
        RunFolders.write(run.resolve("approximate/layers.csv"), approximate.toString());
    }

    @Test
    void runsWithTheSameErrorsShareTheirSpectra() throws IOException {
        for (int rank : new int[] {8, 16, 32}) {
            Path run = RunFolders.write(folder.resolve("rank-" + rank), config("l2qer", rank, 3), metrics(7, 3, ""));
            writeSpectra(run, 3, 64, rank == 32 ? 2 : 1);
        }
        ParsedPage page = page();

        List<Element> panels = withClass(page.section("spectra"), "panel");
        assertThat(panels).hasSize(2 * KINDS.size());
        assertThat(panels.get(0).getTextContent()).contains("rank-8 and 1 more, self_attn.q_proj", "rank-8, rank-16");
        for (Element panel : panels) {
            List<Element> charts = elements(panel, "svg");
            assertThat(charts).hasSize(3);
            assertThat(titles(withClass(charts.get(2), "series"))).containsExactly("error E", "scaled error S E");
        }
        assertThat(elements(page.section("spectra"), "option"))
                .extracting(Element::getTextContent)
                .containsExactlyElementsOf(Stream.concat(Stream.of("rank-8 and 1 more", "rank-32"), KINDS.stream())
                        .toList());
    }

    @Test
    void aSweepOfTheReferenceModelIsAPageOfLessThanTwoMegabytes() throws IOException {
        for (int i = 0; i < 16; i++) {
            Path run = RunFolders.write(
                    folder.resolve("rank-" + i), config("l2qer", 8 + i, 3), metrics(7 - i / 8.0, 3 + i / 8.0, ""));
            writeLayers(run, 6);
            // no two have the same
            writeSpectra(run, 6, 256, i);
        }
        String html = html();

        assertThat(html.getBytes(StandardCharsets.UTF_8)).hasSizeLessThan(2_000_000);
        ParsedPage page = ParsedPage.of(html);
        assertThat(page.charts("spectra")).hasSizeBetween(250, 300);
        assertThat(page.section("spectra").getTextContent()).contains("9 more runs have errors of their own");
        assertThat(withClass(page.section("errors"), "panel")).hasSize(16);
    }

    /** A file as the program writes it, with made-up values. */
    private static void writeSpectra(Path run, int blocks, int size, long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        Map<String, float[]> tensors = new LinkedHashMap<>();
        for (int block = 0; block < blocks; block++) {
            for (String kind : KINDS) {
                for (String name : List.of(".scaled_error", ".error")) {
                    float[] values = new float[size];
                    float value = 1;
                    for (int i = 0; i < size; i++) {
                        values[i] = value;
                        value *= 1 - 0.05f * (float) random.nextDouble();
                    }
                    tensors.put("model.layers." + block + "." + kind + name, values);
                }
            }
        }
        Files.createDirectories(run.resolve("approximate"));
        Files.write(run.resolve("approximate/singular_values.safetensors"), safetensors(tensors));
    }

    private static byte[] safetensors(Map<String, float[]> tensors) {
        Map<String, Object> header = new LinkedHashMap<>();
        int offset = 0;
        for (Map.Entry<String, float[]> tensor : tensors.entrySet()) {
            int end = offset + 4 * tensor.getValue().length;
            header.put(
                    tensor.getKey(),
                    Map.of(
                            "dtype", "F32",
                            "shape", List.of(tensor.getValue().length),
                            "data_offsets", List.of(offset, end)));
            offset = end;
        }
        byte[] text = JsonMapper.shared().writeValueAsBytes(header);
        ByteBuffer bytes = ByteBuffer.allocate(8 + text.length + offset).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(text.length).put(text);
        for (float[] values : tensors.values()) {
            for (float value : values) {
                bytes.putFloat(value);
            }
        }
        return bytes.array();
    }

    /** Whatever a file says is text: in names, in keys, in values, in reasons. */
    @Test
    void nothingFromAFileIsMoreThanText() throws IOException {
        String hostile = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'-->]]>{{7*7}}\u0000\u0007\u202e";
        String json = JsonMapper.shared().writeValueAsString(hostile);
        String key = json.substring(1, json.length() - 1);
        for (int i = 0; i < 2; i++) {
            Path run = RunFolders.write(
                    folder.resolve("<svg onload=alert(3)>\"'&amp;" + i),
                    "seed = " + i + "\n\"a\\\"<b>\" = \"</td><script>alert(4)</script>" + i + "\"\n"
                            + "[[approximation]]\nmethod = \"<i>lqer\"\nrank = " + (4 + i) + "\n",
                    "{\"perplexity/" + key.replace("/", "|") + "\": 3, \"bits_per_weight\": 2, \"" + key
                            + "/acc\": 0.5, \"" + key + "\": \"" + key + "\"}");
            RunFolders.write(
                    run.resolve("approximate/layers.csv"),
                    "module,error_before,error_after\n\"m.0.<script>\",1,1\nm.1.kind,1,1\n");
        }
        RunFolders.write(
                folder.resolve("sweep.json"),
                "{\"points\": [{\"name\": \"<b>p\", \"state\": \"failed\", \"error\": " + json + "}]}");
        ParsedPage page = page();

        assertThat(page.section("failures").getTextContent()).contains("<b>p", "<img src=x onerror=alert(2)>");
        assertThat(page.section("runs").getTextContent())
                .contains("<svg onload=alert(3)>\"'&amp;0", "<script>alert(4)");
        assertThat(page.charts("bits")).hasSize(1);
        assertThat(page.charts("rank")).hasSize(1);
        assertThat(page.charts("tasks")).hasSize(1);
        assertThat(page.elements("b")).isEmpty();
    }

    @Test
    void runsWithoutDataLeaveASentenceForEachChart() throws IOException {
        RunFolders.write(folder.resolve("only"), "seed = 1\n", "{}");
        ParsedPage page = page();

        assertThat(page.elements("svg")).isEmpty();
        assertThat(page.section("bits").getTextContent()).contains("No chart: no run has a perplexity and its bits.");
        assertThat(page.section("rank").getTextContent()).contains("No chart: no run has a perplexity and a rank.");
        assertThat(page.section("tasks").getTextContent()).contains("No chart: no run was scored in a task.");
        assertThat(page.section("spectra").getTextContent()).contains("No chart: no run kept singular values");
        assertThat(page.section("errors").getTextContent()).contains("No table: no run has layers.csv");
        assertThat(page.section("settings").getTextContent()).contains("The runs have the same settings.");
    }

    @Test
    void numbersThatAreNoneAreLeftOutOfChartsButNotOfTheTable() throws IOException {
        RunFolders.write(folder.resolve("nan"), config("lqer", 8, 2), metrics(Double.NaN, 3, ", \"t/acc\": NaN"));
        RunFolders.write(
                folder.resolve("infinite"),
                config("lqer", 16, 2),
                "{\"perplexity/a\": Infinity, \"bits_per_weight\": 3}");
        RunFolders.write(folder.resolve("words"), config("lqer", 32, 2), "{\"perplexity/a\": \"many\"}");
        RunFolders.write(folder.resolve("broken"), config("lqer", 4, 2), metrics(1e30, 3, ", \"t/acc_stderr\": -1"));
        RunFolders.write(
                folder.resolve("good"),
                config("lqer", 64, 2),
                metrics(5, 3, ", \"t/acc\": 0.1, \"t/acc_stderr\": NaN"));
        ParsedPage page = page();

        assertThat(titles(withClass(page.charts("bits").get(0), "mark")))
                .containsExactly(
                        "broken: perplexity 1.000e+30, 3.000 bits per weight",
                        "good: perplexity 5.000, 3.000 bits per weight");
        assertThat(titles(withClass(page.charts("tasks").get(0), "mark"))).containsExactly("good: 0.1000");
        assertThat(page.section("runs").getTextContent()).contains("nan", "inf", "many");
    }

    @Test
    void onlyFailedRunsMakeAPageToo() throws IOException {
        RunFolders.write(
                folder.resolve("sweep.json"),
                "{\"points\": [{\"name\": \"p\", \"state\": \"failed\", \"error\": \"out of memory\"}]}");
        ParsedPage page = page();

        assertThat(page.elements("svg")).isEmpty();
        assertThat(rows(elements(page.section("failures"), "table").get(0)))
                .containsExactly(List.of("p", "failed", "out of memory"));
        assertThat(page.section("settings").getTextContent()).contains("No run has a config");
        assertThat(page.section("provenance").getTextContent()).contains("No run has a manifest");
        assertThat(elements(page.elements("header").get(0), "p").get(0).getTextContent())
                .isEqualTo("1 run, 0 done");
    }

    @Test
    void whatIsDamagedIsNamedAndTheRestIsShown() throws IOException {
        Map<String, byte[]> damaged = new LinkedHashMap<>();
        damaged.put("cut", new byte[] {1, 2, 3});
        damaged.put("long", ByteBuffer.allocate(64).putLong(0, -1).array());
        damaged.put(
                "nan",
                safetensors(Map.of("m.0.k.error", new float[] {1, Float.NaN}, "m.0.k.scaled_error", new float[2])));
        damaged.put(
                "negative", safetensors(Map.of("m.0.k.error", new float[] {-1}, "m.0.k.scaled_error", new float[1])));
        damaged.put("wide", safetensors(Map.of("m.0.k.error", new float[70_000], "m.0.k.scaled_error", new float[1])));
        int i = 0;
        for (Map.Entry<String, byte[]> file : damaged.entrySet()) {
            Path run = RunFolders.write(folder.resolve(file.getKey()), config("lqer", ++i, 2), metrics(5, 3, ""));
            Files.createDirectories(run.resolve("approximate"));
            Files.write(run.resolve("approximate/singular_values.safetensors"), file.getValue());
            RunFolders.write(run.resolve("approximate/layers.csv"), "module,module\n\"a");
        }
        Path linked = RunFolders.write(folder.resolve("linked"), config("lqer", 99, 2), metrics(5, 3, ""));
        Files.createSymbolicLink(linked.resolve("approximate"), folder.resolve("nan/approximate"));
        Path zero = RunFolders.write(folder.resolve("zero"), config("lqer", 98, 2), metrics(5, 3, ""));
        Files.createDirectories(zero.resolve("approximate"));
        Files.write(
                zero.resolve("approximate/singular_values.safetensors"),
                safetensors(Map.of("m.0.k.error", new float[2], "m.0.k.scaled_error", new float[0])));
        ParsedPage page = page();

        assertThat(page.section("spectra").getTextContent())
                .contains(
                        "cut: singular_values.safetensors: 3 bytes are too few",
                        "long: singular_values.safetensors: the header claims",
                        "nan: singular_values.safetensors: m.0.k.error: expected values from 0, found NaN",
                        "negative: singular_values.safetensors: m.0.k.error: expected values from 0, found -1.0",
                        "wide: singular_values.safetensors: m.0.k.error: expected at most 65536 values, found 70000")
                .doesNotContain("linked", folder.toString());
        assertThat(page.section("errors").getTextContent())
                .contains("cut: approximate/layers.csv: expected a table of module and error_before");
        assertThat(withClass(page.charts("bits").get(0), "mark")).hasSize(7);
    }

    /** Every run is a group of its own, and names of keys are long enough to tell them apart. */
    @Test
    void moreGroupsThanALegendHoldsAreOthers() throws IOException {
        for (int i = 0; i < 40; i++) {
            RunFolders.write(
                    folder.resolve("run-" + i),
                    config("lqer", 8 + i % 2, 2) + "[quantization.activation]\nformat = \"mxint\"\nbits = " + (2 + i)
                            + "\n[evaluation]\nbits = " + i + "\n",
                    metrics(5 + i, 3 + i, ""));
        }
        Element chart = page().charts("rank").get(0);

        assertThat(withClass(chart, "mark")).hasSize(40);
        assertThat(texts(chart)).contains("activation.bits 2, evaluation.bits 0", "others");
        // the first thirteen, full precision, and rounding to nearest
        assertThat(withClass(chart, "series")).hasSize(13 + 2);
    }

    @Test
    void resultsOfLqersOwnCodeAreShownToo() throws IOException {
        RunFolders.write(
                folder.resolve("theirs/harness_results.json"),
                "{\"results\": {\"arc_easy\": {\"acc\": 0.6, \"acc_stderr\": 0.01}}}");

        assertThat(titles(withClass(page().charts("tasks").get(0), "mark"))).containsExactly("theirs: 0.6000 ± 0.010");
    }

    @Test
    void partsOfAGroupAreFoldedAndHideNoOtherTask() throws IOException {
        StringBuilder mmlu = new StringBuilder(", \"mmlu/acc\": 0.4");
        for (int i = 0; i < 57; i++) {
            mmlu.append(", \"mmlu_subject").append(i).append("/acc\": 0.").append(10 + i);
        }
        RunFolders.write(folder.resolve("one"), config("lqer", 8, 2), metrics(5, 3, mmlu.toString()));
        RunFolders.write(folder.resolve("two"), config("lqer", 8, 3), metrics(5, 3, ", \"hellaswag/acc\": 0.3"));
        ParsedPage page = page();

        assertThat(page.charts("tasks")).hasSize(2);
        Element tasks = page.section("tasks");
        assertThat(elements(tasks, "figcaption"))
                .extracting(Element::getTextContent)
                .containsExactlyInAnyOrder("mmlu/acc", "hellaswag/acc");
        assertThat(elements(tasks, "summary").get(0).getTextContent()).isEqualTo("57 parts of mmlu");
        assertThat(rows(elements(tasks, "table").get(0))).hasSize(57);
        assertThat(elements(tasks, "table").get(0).getTextContent()).contains("mmlu_subject56/acc", "0.6600");
        assertThat(page.section("runs").getTextContent())
                .contains("hellaswag", "parts of mmlu are below")
                .doesNotContain("subject0");
    }

    /** Two shots and none: one folded table, and no group where few tasks only have several names. */
    @Test
    void partsUnderSeveralConditionsAreFoldedOnce() throws IOException {
        for (int shots = 0; shots < 3; shots += 2) {
            StringBuilder tasks = new StringBuilder(", \"mmlu/acc\": 0.4, \"mmlu/num_fewshot\": " + shots
                    + ", \"arc/acc\": 0.4, \"arc/num_fewshot\": " + shots);
            for (String part : List.of("mmlu_a", "mmlu_b", "mmlu_c", "mmlu_d", "mmlu_d_e", "arc_easy", "arc_hard")) {
                tasks.append(", \"").append(part).append("/acc\": 0.").append(3 + shots);
            }
            RunFolders.write(folder.resolve("run" + shots), config("lqer", 8, 2), metrics(5, 3, tasks.toString()));
        }
        Element tasks = page().section("tasks");

        assertThat(elements(tasks, "summary"))
                .singleElement()
                .extracting(Element::getTextContent)
                .isEqualTo("10 parts of mmlu");
        assertThat(elements(tasks, "figcaption"))
                .extracting(Element::getTextContent)
                .containsExactlyInAnyOrder(
                        "mmlu (0 shots)/acc",
                        "mmlu (2 shots)/acc",
                        "arc (0 shots)/acc",
                        "arc (2 shots)/acc",
                        "arc_easy (0 shots)/acc",
                        "arc_easy (2 shots)/acc",
                        "arc_hard (0 shots)/acc",
                        "arc_hard (2 shots)/acc");
    }

    @Test
    void whatIsTooMuchIsCut() throws IOException {
        StringBuilder metrics = new StringBuilder("{\"bits_per_weight\": 3");
        for (int i = 0; i < 200; i++) {
            metrics.append(", \"perplexity/")
                    .append(i)
                    .append("\": 5, \"task")
                    .append(i)
                    .append("/acc\": 0.5");
        }
        for (int i = 0; i < 520; i++) {
            RunFolders.write(
                    folder.resolve("run-" + i + "-" + "x".repeat(150)),
                    config("lqer", 1 + i, 2),
                    i == 0 ? metrics + "}" : metrics(5 + i, 3 + i, ", \"task0/acc\": 0.5"));
        }
        String html = html();
        ParsedPage page = ParsedPage.of(html);

        assertThat(html.length()).isLessThan(6_000_000);
        assertThat(page.elements("header").get(0).getTextContent())
                .contains("520 runs, 520 done; the first 500 are shown");
        assertThat(rows(elements(page.section("runs"), "table").get(0))).hasSize(500);
        assertThat(page.section("runs").getTextContent()).contains("more columns are left out");
        assertThat(page.charts("bits")).hasSize(12);
        assertThat(page.section("bits").getTextContent()).contains("189 more texts have no chart here.");
        assertThat(page.charts("tasks")).hasSize(100);
        assertThat(page.section("tasks").getTextContent()).contains("100 more metrics", "the first 40 runs");
    }

    @Test
    void thePageIsTheSameWhereverItIsMade() throws IOException {
        writeSweep();
        String here = html();
        Locale locale = Locale.getDefault();
        TimeZone zone = TimeZone.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG"));
            TimeZone.setDefault(TimeZone.getTimeZone("Asia/Kathmandu"));
            assertThat(html()).isEqualTo(here);
        } finally {
            Locale.setDefault(locale);
            TimeZone.setDefault(zone);
        }
    }

    private static List<String> titles(List<Element> groups) {
        List<String> titles = new ArrayList<>();
        for (Element group : groups) {
            titles.add(group.getElementsByTagName("title").item(0).getTextContent());
        }
        return titles;
    }

    private static List<String> texts(Element chart) {
        return elements(chart, "text").stream().map(Element::getTextContent).toList();
    }
}
