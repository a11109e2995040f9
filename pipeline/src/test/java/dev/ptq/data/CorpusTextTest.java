package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Section;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CorpusTextTest {
    @ParameterizedTest
    @EnumSource
    void readsItsKeys(Corpus corpus) {
        String dataset = "dataset = '" + corpus.label() + "'";

        for (Split split : Split.values()) {
            CorpusText text = new CorpusText(corpus, split);
            assertThat(read(dataset, split)).isEqualTo(text);
            assertThat(read(dataset + "\nsplit = '" + split.label() + "'", Split.TEST))
                    .isEqualTo(text);
        }
        assertThat(read(dataset, Split.TEST).name()).isEqualTo(corpus.label());
        assertThat(read(dataset, Split.TEST).label()).isEqualTo(corpus.label() + "/test");
    }

    @Test
    void refusesTheKeysOfFiles() {
        assertProblem("layout = 'lines'", "x:2:1: layout: unknown key; expected one of [dataset, split]");
        assertProblem("field = 'text'", "x:2:1: field: unknown key; expected one of [dataset, split]");
    }

    @Test
    void knowsItsSplits() {
        assertProblem(
                "split = 'tset'",
                "x:2:1: split: expected one of [test, train, validation], got \"tset\"; did you mean \"test\"?");
    }

    @Test
    void aDocumentIsARow() throws IOException {
        assertThat(new CorpusText(Corpus.DICKENS, Split.TEST).rows()).isEqualTo(Corpus.DICKENS.documents(Split.TEST));
    }

    @Test
    void theRowsDecideTheFingerprint() throws IOException {
        Text.Content content = new CorpusText(Corpus.DICKENS, Split.TEST).content();

        assertThat(content.sha256()).isEqualTo(Digests.ofTexts(Corpus.DICKENS.documents(Split.TEST)));
        assertThat(new CorpusText(Corpus.DICKENS, Split.TRAIN).content()).isNotEqualTo(content);
        assertThat(Digests.ofTexts(List.of("ab", "c"))).isNotEqualTo(Digests.ofTexts(List.of("a", "bc")));
    }

    private static Text read(String toml, Split defaultSplit) {
        ConfigTable table = ConfigTable.parse(toml, "x", List.of(), Section.of("text", Text.keys(defaultSplit)));
        Text text = Text.read(table, defaultSplit);
        table.finish();
        return text;
    }

    private static void assertProblem(String line, String message) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> read("dataset = 'europarl'\n" + line, Split.TEST))
                .withMessage(message);
    }
}
