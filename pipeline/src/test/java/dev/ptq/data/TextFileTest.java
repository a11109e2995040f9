package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Section;
import dev.ptq.data.TextFile.Layout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextFileTest {
    @TempDir
    Path folder;

    @Test
    void aDocumentIsOneRow() throws IOException {
        assertThat(text("a\n\nb \n", Layout.DOCUMENT).rows()).containsExactly("a\n\nb \n");
        assertThat(text("", Layout.DOCUMENT).rows()).containsExactly("");
    }

    @Test
    void linesAreRowsWithoutTheirEnds() throws IOException {
        assertThat(text("a\n\nb \r\nc", Layout.LINES).rows()).containsExactly("a", "", "b ", "c");
        assertThat(text("", Layout.LINES).rows()).isEmpty();
    }

    @Test
    void wikitextRowsAreThoseOfItsDataSet() throws IOException {
        assertThat(text(" \n = Title = \n\n the <unk> cat\n", Layout.WIKITEXT).rows())
                .containsExactly("", " = Title = \n", "", " the unk cat\n");
    }

    @Test
    void jsonLinesAreRowsByField() throws IOException {
        Path file = write("rows.jsonl", "{\"text\": \"a\\nb\", \"id\": 1}\n\n{\"text\": \"\"}\n{\"text\": \"é\"}");

        assertThat(new TextFile(file.toString(), Layout.LINES, "text").rows()).containsExactly("a\nb", "", "é");
    }

    @Test
    void namesTheLineThatIsNoJson() throws IOException {
        Path file = write("rows.jsonl", "{\"text\": \"a\"}\n{\"text\": \n");

        assertThatIOException()
                .isThrownBy(() -> new TextFile(file.toString(), Layout.LINES, "text").rows())
                .withMessageStartingWith(file + ":2: not valid JSON: ");
    }

    @Test
    void namesTheLineWithoutTheField() throws IOException {
        Map<String, String> reasons = Map.of(
                "{\"body\": \"b\", \"id\": 1}", "expected a text under \"text\", found only [body, id]",
                "{\"text\": 3}", "expected a text under \"text\", got number",
                "{\"text\": null}", "expected a text under \"text\", got null",
                "[]", "expected an object");
        for (Map.Entry<String, String> each : reasons.entrySet()) {
            Path file = write("rows.jsonl", "\n{\"text\": \"a\"}\n" + each.getKey());

            assertThatIOException()
                    .isThrownBy(() -> new TextFile(file.toString(), Layout.LINES, "text").rows())
                    .withMessage(file + ":3: " + each.getValue());
        }
    }

    @Test
    void wantsUtf8() throws IOException {
        Path file = Files.write(folder.resolve("latin.txt"), new byte[] {'a', (byte) 0xe9, 'b'});

        assertThatIOException()
                .isThrownBy(() -> new TextFile(file.toString(), Layout.DOCUMENT, "").rows())
                .withMessage(file + ": expected text in UTF-8");
    }

    @Test
    void readsItsKeys() throws IOException {
        Path text = write("some.text.txt", "a");
        Path rows = write("rows.jsonl", "");

        assertThat(read("dataset = '" + text + "'"))
                .isEqualTo(new TextFile(text.toString(), Layout.DOCUMENT, ""))
                .extracting(Text::name)
                .isEqualTo("some.text");
        assertThat(read("dataset = '" + text + "'\nlayout = 'wikitext'"))
                .isEqualTo(new TextFile(text.toString(), Layout.WIKITEXT, ""));
        assertThat(read("dataset = '" + rows + "'\nfield = 'body'"))
                .isEqualTo(new TextFile(rows.toString(), Layout.LINES, "body"));
    }

    @Test
    void refusesWhatIsNoText() throws IOException {
        Path other = write("table.csv", "");
        Path text = write("a.txt", "");
        assertProblem(
                "dataset = 'no.txt'",
                "x:1:1: dataset: no such file: \"no.txt\" (a path in a file starts at its folder, others at the"
                        + " current directory)");
        String expected = "a corpus, one of [dickens, europarl, wordnet], a file that ends in one of [.parquet, .jsonl,"
                + " .json, .jsonl.gz, .json.gz, .txt], a folder of such files, or owner/name on the hub";
        assertProblem("dataset = 'a.csv'", "x:1:1: dataset: expected " + expected + ", got \"a.csv\"");
        assertProblem("dataset = '" + other + "'", "x:1:1: dataset: expected " + expected + ", got \"" + other + "\"");
        assertProblem("dataset = ''", "x:1:1: dataset: expected " + expected + ", got \"\"");
        assertProblem(
                "dataset = 'europal'\nsplit = 'test'",
                "x:1:1: dataset: expected " + expected + ", got \"europal\"; did you mean \"europarl\"?");
        assertProblem(
                "dataset = \"a\\u0000.txt\"",
                "x:1:1: dataset: no such file: \"a\0.txt\" (a path in a file starts at its folder, others at the"
                        + " current directory)");
        assertProblem("dataset = \"a\\u0000\"", "x:1:1: dataset: expected " + expected + ", got \"a\\u0000\"");
        assertProblem("dataset = 3", "x:1:1: dataset: expected a string, got 3");
        assertProblem("dataset = '" + text + "'\nsplit = 'test'", "x:2:1: split: a file has no splits; remove it");
        assertProblem(
                "dataset = '" + text + "'\nlayout = 'line'",
                "x:2:1: layout: expected one of [document, lines, wikitext], got \"line\"; did you mean \"lines\"?");
        assertProblem(
                "dataset = '" + text + "'\nfield = 'text'",
                "x:2:1: field: unknown key; expected one of [dataset, layout]");
    }

    @Test
    void theContentDecidesTheFingerprintAndNotThePath() throws IOException {
        TextFile first = text("same", Layout.DOCUMENT);
        Path other = write("other.txt", "same");

        assertThat(new TextFile(other.toString(), Layout.DOCUMENT, "").content())
                .isEqualTo(first.content());
        assertThat(new TextFile(other.toString(), Layout.LINES, "").content()).isNotEqualTo(first.content());
        Files.writeString(other, "changed");
        assertThat(new TextFile(other.toString(), Layout.DOCUMENT, "").content())
                .isNotEqualTo(first.content());
    }

    private static void assertProblem(String toml, String message) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> read(toml))
                .withMessage(message);
    }

    private static Text read(String toml) {
        ConfigTable table = ConfigTable.parse(toml, "x", List.of(), Section.of("text", Text.keys(Split.TEST)));
        Text text = Text.read(table, Split.TEST);
        table.finish();
        return text;
    }

    private TextFile text(String content, Layout layout) throws IOException {
        return new TextFile(write("text.txt", content).toString(), layout, "");
    }

    private Path write(String name, String content) throws IOException {
        return Files.writeString(folder.resolve(name), content);
    }
}
