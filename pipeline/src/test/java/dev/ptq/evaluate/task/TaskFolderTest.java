package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.data.Digests;
import dev.ptq.data.Row;
import dev.ptq.parquet.ParquetFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The Parquet file has the columns of ARC, lists in a column among them; DuckDB wrote it. */
class TaskFolderTest {
    @TempDir
    Path folder;

    private Path questions(String name) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        try (InputStream in = Objects.requireNonNull(ParquetFile.class.getResourceAsStream("snappy.parquet"))) {
            Files.copy(in, file);
        }
        return file;
    }

    private static Task task(String name) {
        return Tasks.named(name, Profile.HARNESS).orElseThrow().tasks().get(0);
    }

    @ParameterizedTest
    @CsvSource({
        "'',arc_easy/test.parquet",
        "'',ai2_arc/ARC-Easy/test-00000-of-00001.parquet",
        "'',allenai/ai2_arc/ARC-Easy/test-00000-of-00001.parquet",
        "ai2_arc,ai2_arc/ARC-Easy/test-00000-of-00001.parquet",
        "datasets--allenai--ai2_arc/snapshots/1a,datasets--allenai--ai2_arc/snapshots/1a/ARC-Easy/test.parquet",
    })
    void findsDataSetsAsTheyWereDownloaded(String data, String name) throws IOException {
        Path file = questions(name);
        Path other = file.resolveSibling("../ARC-Challenge/test.jsonl").normalize();
        Files.createDirectories(other.getParent());
        Files.writeString(other, "{}");
        TaskFolder rows = new TaskFolder(folder.resolve(data));

        List<Row> read = rows.rows(task("arc_easy"), "test");

        assertThat(read).hasSize(4);
        assertThat(read.get(0).place()).isEqualTo(file + ":1");
        assertThat(read.get(0).fields().get("choices"))
                .hasToString("{\"text\":[\"a heron\",\"a lamp\"],\"label\":[\"A\",\"B\"]}");
        assertThat(rows.sha256(task("arc_easy"), "test")).isEqualTo(Digests.of(file));
        assertThat(rows.commit(task("arc_easy"), "test")).isEmpty();
    }

    /** The first of the questions is one; what is wrong with the others is said of their rows. */
    @Test
    void listsInColumnsAreChoices() throws IOException {
        Path file = questions("arc_easy/test.parquet");
        TasksSettings settings = TestSettings.of("names = ['arc_easy']");
        List<String> problems = new ArrayList<>();

        List<Document> documents = Documents.of(task("arc_easy"), settings, new TaskFolder(folder), problems)
                .documents();

        assertThat(documents).singleElement().satisfies(document -> {
            assertThat(document.choices()).containsExactly("a heron", "a lamp");
            assertThat(document.gold()).isZero();
            assertThat(document.asked().get(1))
                    .isEqualTo(new TextRequest("Question: What is \"quiet\"?\nAnswer:", " a lamp"));
        });
        assertThat(problems).hasSize(3);
        for (int i = 0; i < problems.size(); i++) {
            assertThat(problems.get(i)).startsWith(file + ":" + (i + 2) + ": arc_easy, document " + (i + 1) + ": ");
        }
    }

    @Test
    void saysWhatADataSetLacks() throws IOException {
        questions("ai2_arc/ARC-Challenge/test.parquet");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> new TaskFolder(folder).rows(task("arc_easy"), "test"))
                .withMessageStartingWith(
                        folder.resolve("ai2_arc") + ": expected files called after the split \"test\" in [ARC-Easy/, ");
    }

    /** The parts of a group share one data set, of which they take their rows. */
    @Test
    void aPartIsTakenFromTheWhole() throws IOException {
        Path all = folder.resolve("cais/mmlu/all/test.jsonl");
        Files.createDirectories(all.getParent());
        Files.writeString(all, "{\"subject\": \"virology\"}\n{\"subject\": \"anatomy\"}\n");
        assertThat(new TaskFolder(folder).rows(task("mmlu_anatomy"), "test"))
                .extracting(Row::place)
                .containsExactly(all + ":2");
    }

    @Test
    void aFolderWithoutANameIsWrong() {
        ConfigTable table = ConfigTable.parse("names = ['piqa']\ndata = ''", "x", List.of(), TasksSettings.SECTION);
        TasksSettings.read(table);
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(table::finish)
                .withMessageContaining("x:2:1: data: expected a folder; left out, tasks take what was fetched");
    }
}
