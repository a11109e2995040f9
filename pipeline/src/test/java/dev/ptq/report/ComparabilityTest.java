package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ComparabilityTest {
    private static final String BITS = "[quantization.weight]\nbits = ";

    @TempDir
    Path folder;

    private void run(String name, int bits, String metrics) throws IOException {
        RunFolders.write(folder.resolve(name), BITS + bits + "\n", "{" + metrics.replace('\'', '"') + "}");
    }

    private void sources(String name, String sources) throws IOException {
        Path manifest = folder.resolve(name).resolve("manifest.json");
        Files.writeString(
                manifest,
                Files.readString(manifest)
                        .replace("\"sources\" : {}", "\"sources\" : {" + sources.replace('\'', '"') + "}"));
    }

    private Results results() throws IOException {
        return Results.read(List.of(folder));
    }

    private List<String> names(String run) throws IOException {
        return results().rows().stream()
                .filter(row -> row.run().equals(run))
                .flatMap(row -> row.metrics().keySet().stream())
                .toList();
    }

    private static String text(String name, String value, String conditions) {
        return "'perplexity/a': " + value + ", 'perplexity/a/loss': 1.5, "
                + conditions.replace("@", "perplexity/" + name);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'@/seq_len': 512 | '@/seq_len': 2048 | seq_len 512 | seq_len 2048",
                "'@/protocol': 'gptq' | '@/protocol': 'lqer' | gptq | lqer",
                "'@/bos': 'text' | '@/bos': 'none' | BOS text | BOS none",
                "'@/chunks': 8, '@/tokens': 99 | '@/chunks': 9, '@/tokens': 110 | 8 chunks | 9 chunks",
                "'@/tokens': 99 | '@/tokens': 110 | 99 tokens | 110 tokens",
                "'@/seq_len': 512, '@/chunks': 8 | '@/seq_len': 64, '@/chunks': 64 | seq_len 512 | seq_len 64"
            })
    void whatWasMeasuredOtherwiseHasAnotherName(String first, String second, String one, String other)
            throws IOException {
        run("first", 4, text("a", "5.5", first));
        run("second", 4, text("a", "5.0", second));

        assertThat(names("first")).contains("perplexity/a (" + one + ")", "perplexity/a (" + one + ")/loss");
        assertThat(names("second")).contains("perplexity/a (" + other + ")").doesNotContain("perplexity/a");
        assertThat(results().warnings()).singleElement().asString().contains(one + " (1 run)", other + " (1 run)");
    }

    @Test
    void nothingIsRenamedWhereRunsAgreeOrDoNotSay() throws IOException {
        run("first", 4, text("a", "5.5", "'@/seq_len': 512, '@/protocol': 'lqer'"));
        run("second", 3, text("a", "6.5", "'@/seq_len': 512.0, '@/bos': 'text'"));
        run("third", 2, "'perplexity/a': 8, 'bits_per_weight': 2");

        assertThat(results().warnings()).isEmpty();
        assertThat(names("first")).contains("perplexity/a", "perplexity/a/seq_len");
        assertThat(names("third")).containsExactly("perplexity/a", "bits_per_weight");
    }

    @Test
    void aRunThatDoesNotSayStandsApartWhereOthersDiffer() throws IOException {
        run("first", 4, text("a", "5.5", "'@/seq_len': 512"));
        run("second", 4, text("a", "5.5", "'@/seq_len': 1024"));
        run("third", 4, "'perplexity/a': 8, 'loss_recovered/a': 0.5, 'loss_recovered/a/low': 0.4");

        assertThat(names("third"))
                .containsExactly(
                        "perplexity/a (seq_len unknown)",
                        "loss_recovered/a (seq_len unknown)",
                        "loss_recovered/a (seq_len unknown)/low");
    }

    /** Bits per byte are there so that tokenizers can be compared; perplexities of their tokens cannot. */
    @Test
    void tokenizersMatterByTokenOnly() throws IOException {
        for (String name : List.of("first", "second")) {
            run(name, 4, text("a", "5.5", "'@/dataset': 'd', '@/protocol': 'rolling', '@/bits_per_byte': 1.2"));
            sources(name, "'texts': {'d': {'sha256': 'eeee'}}, 'tokenizer': {'sha256': '" + name + "0123456789'}");
        }

        assertThat(names("first"))
                .contains("perplexity/a (tokenizer first012)", "perplexity/a/bits_per_byte")
                .doesNotContain("perplexity/a");
    }

    @Test
    void otherDataUnderTheSameNameIsAnotherText() throws IOException {
        for (String name : List.of("first", "second")) {
            run(name, 4, text("a", "5.5", "'@/dataset': '" + name + ".txt'"));
            sources(name, "'texts': {'" + name + ".txt': {'sha256': '" + name + "0123456789'}}");
        }

        assertThat(names("second")).contains("perplexity/a (data second01)");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "'@/num_fewshot': 0 | '@/num_fewshot': 5 | 0 shots | 5 shots",
                "'@/limit': 4, '@/documents': 4 | '@/limit': 20, '@/documents': 20 | limit 4 | limit 20",
                "'@/documents': 4 | '@/documents': 20 | 4 documents | 20 documents",
                "'@/version': 1 | '@/version': 0 | version 1 | version 0",
                "'@/profile': 'harness' | '@/profile': 'lqer' | profile harness | profile lqer"
            })
    void soItIsWithTasks(String first, String second, String one, String other) throws IOException {
        String scores = "'@/acc': 0.5, '@/acc_stderr': 0.1, 'full_precision/@/acc': 0.6, ";
        run("first", 4, (scores + first).replace("@", "copa"));
        run("second", 4, (scores + second).replace("@", "copa"));

        assertThat(names("first"))
                .contains(
                        "copa (" + one + ")/acc",
                        "copa (" + one + ")/acc_stderr",
                        "full_precision/copa (" + one + ")/acc");
        assertThat(names("second")).contains("copa (" + other + ")/acc");
    }

    @Test
    void partsHaveTheConditionsOfTheirGroup() throws IOException {
        run("first", 4, "'mmlu/acc': 0.5, 'mmlu/num_fewshot': 0, 'mmlu_high_school_physics/acc': 0.4");
        run("second", 4, "'mmlu/acc': 0.5, 'mmlu/num_fewshot': 5, 'mmlu_high_school_physics/acc': 0.4");

        assertThat(names("second")).contains("mmlu_high_school_physics (5 shots)/acc");
    }

    @Test
    void filesOfTasksTellRunsApartThatHaveTheSameTasks() throws IOException {
        for (String name : List.of("first", "second", "more")) {
            run(name, 4, "'copa/acc': 0.5");
            sources(name, "'tasks': {'copa': {'sha256': ['" + name + "', 'ffff']}}");
        }
        assertThat(names("first")).singleElement().asString().matches("copa \\(data [0-9a-f]+\\)/acc");

        sources("more", "");
        Files.writeString(
                folder.resolve("more/manifest.json"),
                Files.readString(folder.resolve("more/manifest.json")).replace("'copa':", "'copa arc_easy':"));
        run("more", 4, "'copa/acc': 0.5");
        sources("more", "'tasks': {'copa arc_easy': {'sha256': ['more', 'ffff', 'eeee']}}");
        assertThat(names("first")).containsExactly("copa/acc");
    }

    @Test
    void chartsHaveOneKindOfPerplexityEach() throws IOException {
        for (int bits = 2; bits < 5; bits++) {
            run("short-" + bits, bits, text("a", "9." + bits, "'@/seq_len': 512, 'bits_per_weight': " + bits));
            run("long-" + bits, bits, text("a", "5." + bits, "'@/seq_len': 2048, 'bits_per_weight': " + bits));
        }

        String page = ReportPage.html(results(), "runs", "ptq");

        assertThat(page)
                .contains("<figcaption>a (seq_len 512)</figcaption>", "<figcaption>a (seq_len 2048)</figcaption>")
                .doesNotContain("<figcaption>a</figcaption>");
    }

    @Test
    void columnsOfATableCanTellWaysApart() throws IOException {
        for (int bits = 3; bits < 5; bits++) {
            for (int length : new int[] {512, 2048}) {
                String name = bits + "-" + length;
                run(name, bits, text("a", bits + "." + length, "'@/seq_len': " + length));
                Files.writeString(
                        folder.resolve(name).resolve("resolved.toml"),
                        BITS + bits + "\n[[evaluation.perplexity]]\nname = \"a\"\nseq_len = " + length + "\n");
            }
        }
        List<ResultRow> rows = results().rows();

        PivotTable table = PivotTable.of(
                rows,
                new PivotTable.Layout(List.of("bits"), List.of("seq_len"), List.of("perplexity/a"), false, false));
        assertThat(CsvText.of(table.table())).isEqualTo("""
                bits,seq_len 512,seq_len 2048
                3,3.512,3.2048
                4,4.512,4.2048
                """);
        assertThatThrownBy(() -> PivotTable.of(
                        rows,
                        new PivotTable.Layout(
                                List.of("bits", "seq_len"), List.of(), List.of("perplexity/a"), false, false)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("perplexity/a was measured in several ways, which do not stand together:"
                        + " perplexity/a (seq_len 2048), perplexity/a (seq_len 512); ask for one of them");
    }
}
