package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RowsTest {
    private static final String LINES = "{\"a\": 1}\n\n{\"a\": \"é\"}";

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.json.gz"})
    void linesAreRows(String name) throws IOException {
        Path file = write(name, LINES);

        assertThat(Rows.read(file))
                .extracting(row -> row.fields() + " " + row.place())
                .containsExactly("{\"a\":1} " + file + ":1", "{\"a\":\"é\"} " + file + ":3");
    }

    @ParameterizedTest
    @ValueSource(strings = {"rows.json", "rows.json.gz"})
    void anArrayHasRowsToo(String name) throws IOException {
        Path file = write(name, " \n [{\"a\": 1},\n {\"a\": [2, null]}]");

        assertThat(Rows.read(file))
                .extracting(row -> row.fields() + " " + row.place())
                .containsExactly("{\"a\":1} " + file + ":1", "{\"a\":[2,null]} " + file + ":2");
        assertThat(Rows.read(write("empty.json", "[]"))).isEmpty();
        assertThat(Rows.read(write("nothing.json", ""))).isEmpty();
    }

    @Test
    void aLineOfTextIsARow() throws IOException {
        assertThat(Rows.read(write("a.txt", "one\n\ntwo")))
                .extracting(row -> row.fields().toString())
                .containsExactly("{\"text\":\"one\"}", "{\"text\":\"\"}", "{\"text\":\"two\"}");
    }

    @Test
    void parquetHasRows() throws IOException {
        Path file = folder.resolve("a.parquet");
        try (InputStream in =
                Objects.requireNonNull(getClass().getResourceAsStream("/dev/ptq/parquet/arrow-snappy.parquet"))) {
            Files.copy(in, file);
        }

        assertThat(Rows.read(file))
                .hasSize(3)
                .last()
                .isEqualTo(Rows.read(file).get(2))
                .extracting(Row::place)
                .isEqualTo(file + ":3");
        assertThat(Rows.read(file, "id"))
                .extracting(row -> row.fields().toString())
                .containsExactly("{\"id\":1}", "{\"id\":2}", "{\"id\":null}");
        assertThatIOException()
                .isThrownBy(() -> new TextFile(file.toString(), TextFile.Layout.LINES, "question").rows())
                .withMessage(file + ":2: expected a text under \"question\", got null");
    }

    @Test
    void namesTheRowThatIsAtFault() throws IOException {
        assertFails(write("a.json", "[{\"a\": 1}, 2]"), ":2: expected an object");
        assertFails(write("b.json", "[{\"a\": 1}, "), ": not valid JSON: ");
        assertFails(write("c.json", "{\"a\": 1}\n{"), ":2: not valid JSON: ");
        assertFails(write("d.json", "3"), ":1: expected an object");
    }

    @Test
    void whatIsNotWholeIsDamaged() throws IOException {
        byte[] whole = zipped(LINES.repeat(50).getBytes(StandardCharsets.UTF_8));
        assertFails(Files.write(folder.resolve("a.jsonl.gz"), Arrays.copyOf(whole, whole.length / 2)), ": damaged: ");
        assertFails(Files.writeString(folder.resolve("b.jsonl.gz"), LINES), ": damaged: ");
        assertFails(Files.write(folder.resolve("c.jsonl.gz"), new byte[0]), ": damaged: ");
        assertFails(
                Files.write(folder.resolve("d.jsonl.gz"), zipped(new byte[] {'"', (byte) 0xe9, '"'})),
                ": expected text in UTF-8");
        assertFails(
                Files.write(folder.resolve("e.json.gz"), zipped(new byte[] {'[', '"', (byte) 0xe9, '"', ']'})),
                ": expected text in UTF-8");
    }

    /** One line of blanks, 600 KB of them packed in 600 bytes a thousand times over. */
    @Test
    void aSmallFileCannotFillTheMemory() throws IOException {
        byte[] part = zipped(new byte[16 << 20]);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (long i = 0; i <= Runtime.getRuntime().maxMemory() / 4 / (16 << 20); i++) {
            all.write(part);
        }
        Path file = Files.write(folder.resolve("bomb.jsonl.gz"), all.toByteArray());

        assertThat(Files.size(file)).isLessThan(1 << 20);
        assertFails(file, ": has more than ");
    }

    private static void assertFails(Path file, String reason) {
        assertThatIOException().isThrownBy(() -> Rows.read(file)).withMessageStartingWith(file + reason);
    }

    private Path write(String name, String content) throws IOException {
        byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
        return Files.write(folder.resolve(name), name.endsWith(".gz") ? zipped(bytes) : bytes);
    }

    private static byte[] zipped(byte[] content) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
            out.write(content);
        }
        return bytes.toByteArray();
    }

    @Test
    void endingsAreThoseOfRows() {
        assertThat(List.of("a.parquet", "a.json.gz", "a.txt")).allMatch(Rows::hasEnding);
        assertThat(List.of("a", "a.csv", "a.parquet.bak", "a.gz")).noneMatch(Rows::hasEnding);
    }
}
