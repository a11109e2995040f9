package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Section;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DatasetFolderTest {
    @TempDir
    Path folder;

    @Test
    void shardsComeInTheirOrder() throws IOException {
        with("data/test-00000-of-00003.jsonl", "data/test-00002-of-00003.jsonl", "data/test-00001-of-00003.jsonl");
        with("data/train-00000-of-00001.jsonl");

        assertThat(rows("", "test"))
                .containsExactly(
                        "data/test-00000-of-00003.jsonl",
                        "data/test-00001-of-00003.jsonl",
                        "data/test-00002-of-00003.jsonl");
        with("plain/part-2.jsonl", "plain/part-10.jsonl", "plain/part-1.jsonl");
        assertThat(names("plain", "part"))
                .containsExactly("plain/part-1.jsonl", "plain/part-2.jsonl", "plain/part-10.jsonl");
    }

    @ParameterizedTest
    @CsvSource({
        "test.jsonl,,test",
        "data/test.jsonl,,test",
        "test.jsonl,default,test",
        "arc/test.jsonl,arc,test",
        "arc/test-00000-of-00001.jsonl,arc,test",
        "arc/test/0000.jsonl,arc,test",
        "data/arc/test.jsonl,arc,test",
        "arc/data/test.jsonl,arc,test",
        "test/0000.jsonl,,test",
        "data/test/0000.jsonl,,test",
        "arc/test.jsonl,,test",
        "held_out.json,,held_out",
    })
    void findsASplitWhereverItMayBe(String file, String config, String split) throws IOException {
        with(file, "other/else.txt", "train.csv");

        assertThat(DatasetFolder.files(folder, Optional.ofNullable(config), split))
                .containsExactly(folder.resolve(file));
    }

    @Test
    void takesOneFormOfTheRows() throws IOException {
        with("test.txt", "test.jsonl", "test.json.gz");

        assertThat(names("", "test")).containsExactly("test.jsonl");
    }

    @Test
    void namesWhatThereIs() throws IOException {
        with("a/test.jsonl", "a/train.jsonl", "b/test.jsonl");

        assertRefused("", "test", "has several data sets; add config = \"…\", one of [a, b]");
        assertRefused("a", "tset", "has no split \"tset\", one of [test, train]; did you mean \"test\"?");
        assertRefused(
                "c",
                "test",
                "expected files called after the split \"test\" in [c/, c/data/, data/c/], ending in one of"
                        + " [.parquet, .jsonl, .json, .jsonl.gz, .json.gz, .txt]; found [a/test.jsonl, a/train.jsonl,"
                        + " b/test.jsonl]");
    }

    @Test
    void aShardThatIsMissingIsNotPassedOver() throws IOException {
        with("data/test-00000-of-00003.jsonl", "data/test-00002-of-00003.jsonl");

        assertRefused("", "test", "data/test-00001-of-00003.jsonl is missing, one of 3 files of a split");
    }

    @Test
    void aCardMayMeanSomeShardsOnly() throws IOException {
        with("en/c4-train.00000-of-00003.jsonl", "en/c4-train.00001-of-00003.jsonl");
        card("""
                configs:
                - config_name: first
                  data_files: en/c4-train.00000-of-00003.jsonl
                - config_name: all
                  data_files: en/c4-train.*
                """);

        assertThat(names("first", "train")).containsExactly("en/c4-train.00000-of-00003.jsonl");
        assertRefused("all", "train", "en/c4-train.00002-of-00003.jsonl is missing, one of 3 files of a split");
    }

    @Test
    void linksLeadNowhere() throws IOException {
        with("outside/test.jsonl");
        Path inside = Files.createDirectories(folder.resolve("inside"));
        Files.createSymbolicLink(inside.resolve("data"), folder.resolve("outside"));

        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> DatasetFolder.files(inside, Optional.empty(), "test"))
                .withMessageEndingWith("found []");
    }

    @Test
    void theCardSaysWhereFilesAre() throws IOException {
        with("raw/first-test.jsonl", "raw/first-train.jsonl", "raw/second.jsonl", "more/x.jsonl", "more/y.jsonl");
        card("""
                configs:
                - config_name: first
                  data_files:
                  - split: test
                    path: raw/first-t*t.jsonl
                  - split: both
                    path: [raw/first-*, "./more/**"]
                - config_name: second
                  default: true
                  data_files: raw/second.jsonl
                - config_name: third
                  data_dir: more
                - config_name: gone
                  data_files:
                  - split: test
                    path: gone/*
                """);

        assertThat(names("first", "test")).containsExactly("raw/first-test.jsonl");
        assertThat(names("first", "both"))
                .containsExactly("more/x.jsonl", "more/y.jsonl", "raw/first-test.jsonl", "raw/first-train.jsonl");
        assertThat(names("", "train")).containsExactly("raw/second.jsonl");
        assertThat(names("third", "x")).containsExactly("more/x.jsonl");
        assertRefused("forth", "test", "has no config \"forth\", one of [first, second, third, gone]");
        assertRefused("first", "train", "has no split \"train\", one of [test, both]");
        assertRefused(
                "gone",
                "test",
                "split \"test\" is [gone/*] by its README.md, but no file of a kind that can be read is called so;"
                        + " there are [more/x.jsonl, more/y.jsonl, raw/first-test.jsonl, raw/first-train.jsonl,"
                        + " raw/second.jsonl]");
    }

    /** A path of the card is compared with the names of files that are there, so it cannot lead elsewhere. */
    @Test
    void theCardCannotLeadOutOfTheFolder() throws IOException {
        Path inside = Files.createDirectories(folder.resolve("inside"));
        with("secret.jsonl");
        Files.writeString(inside.resolve("README.md"), """
                ---
                configs:
                - config_name: default
                  data_files: ["../secret.jsonl", "/etc/**", "%s"]
                ---
                """.formatted(folder.resolve("secret.jsonl")));

        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> DatasetFolder.files(inside, Optional.empty(), "train"))
                .withMessageContaining("no file of a kind that can be read is called so; there are []");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "# A title\n",
                "---\nno end",
                "---\n---\n",
                "---\n- a list\n---\n",
                "---\nconfigs: 3\n---\n",
                "---\nconfigs: [1, {config_name: 4}]\n---\n",
                "---\nconfigs:\n---\n"
            })
    void aCardThatSaysNothingOfFilesDoesNotMatter(String card) throws IOException {
        with("test.jsonl");
        Files.writeString(folder.resolve("README.md"), card);

        assertThat(names("", "test")).containsExactly("test.jsonl");
    }

    @ParameterizedTest
    @ValueSource(strings = {"a: [", "a: *b", "!!java.lang.Runtime {}: \t}", "a: &a [*a, *a]\nb: {? *a : 1}"})
    void aCardThatCannotBeReadIsNamed(String head) throws IOException {
        with("test.jsonl");
        card(head);

        assertThatIOException()
                .isThrownBy(() -> names("", "test"))
                .withMessageStartingWith(folder.resolve("README.md") + ": its head is not valid YAML: ");
    }

    @ParameterizedTest
    @CsvSource({
        "a/*.txt, a/b.txt, true",
        "a/*.txt, a/b/c.txt, false",
        "*, a, true",
        "*, a/b, false",
        "**, a/b, true",
        "**/x, x, true",
        "**/x, a/b/x, true",
        "**/x, ax, false",
        "a/**/x, a/x, true",
        "a?c, abc, true",
        "a?c, a/c, false",
        "a.c, abc, false",
        "test-*, test-, true",
        "*a*a*a*a*a*a*a*a*a*a*a*b, aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, false",
    })
    void patternsAreThoseOfTheHub(String pattern, String name, boolean matches) {
        assertThat(DatasetLayout.matches(pattern, name)).isEqualTo(matches);
    }

    @Test
    void aFolderIsAText() throws IOException {
        Files.createDirectories(folder.resolve("set/arc"));
        Files.writeString(folder.resolve("set/arc/test.jsonl"), "{\"body\": \"a\"}\n{\"body\": \"b\"}\n");
        String toml = "dataset = '" + folder.resolve("set") + "'\nconfig = 'arc'\nfield = 'body'";
        Text text = read(toml);

        assertThat(text.rows()).containsExactly("a", "b");
        assertThat(text.name()).isEqualTo("set");
        assertThat(text.label()).isEqualTo(folder.resolve("set") + "/arc/test");
        Text.Content before = text.content();
        assertThat(read(toml.replace("body", "text")).content()).isNotEqualTo(before);
        Files.move(folder.resolve("set/arc"), folder.resolve("set/other"));
        assertThat(read(toml.replace("'arc'", "'other'")).content()).isEqualTo(before);
        Files.writeString(folder.resolve("set/other/test.jsonl"), "{\"body\": \"c\"}");
        assertThat(read(toml.replace("'arc'", "'other'")).content()).isNotEqualTo(before);
    }

    @Test
    void problemsStandAtTheirPlace() {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> read("split = 'test'\ndataset = '" + folder + "'\nlayout = 'lines'"))
                .withMessage("x:2:1: dataset: " + folder + ": expected files called after the split \"test\" in [the"
                        + " folder, data/], ending in one of [.parquet, .jsonl, .json, .jsonl.gz, .json.gz, .txt];"
                        + " found []\nx:3:1: layout: unknown key; expected one of [dataset, config, split, field]");
    }

    private static Text read(String toml) {
        ConfigTable table = ConfigTable.parse(toml, "x", List.of(), Section.of("text", Text.keys(Split.TEST)));
        Text text = Text.read(table, Split.TEST);
        table.finish();
        return text;
    }

    private void assertRefused(String config, String split, String reason) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> names(config, split))
                .withMessage(folder + ": " + reason);
    }

    private List<String> names(String config, String split) throws IOException {
        return DatasetFolder.files(folder, Optional.of(config).filter(name -> !name.isEmpty()), split).stream()
                .map(file -> folder.relativize(file).toString())
                .toList();
    }

    private List<String> rows(String config, String split) throws IOException {
        return DatasetFolder.rows(folder, Optional.of(config).filter(name -> !name.isEmpty()), split).stream()
                .map(row -> row.fields().get("text").asString())
                .toList();
    }

    private void card(String head) throws IOException {
        Files.writeString(folder.resolve("README.md"), "---\n" + head + "\n---\n# Title\n");
    }

    /** Files with a row that says what they are called. */
    private void with(String... names) throws IOException {
        for (String name : names) {
            Path file = folder.resolve(name);
            Files.createDirectories(file.getParent());
            Files.writeString(file, "{\"text\": \"" + name + "\"}\n");
        }
    }
}
