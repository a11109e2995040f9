package dev.ptq.data;

import dev.ptq.config.ConfigTable;
import java.io.IOException;
import java.util.List;

/** A split of a corpus; each document is a row. */
public record CorpusText(Corpus corpus, Split split) implements Text {
    static CorpusText read(ConfigTable table, Corpus corpus, Split defaultSplit) {
        return new CorpusText(corpus, table.read(TextKeys.corpusSplit(defaultSplit)));
    }

    @Override
    public String name() {
        return corpus.label();
    }

    @Override
    public String label() {
        return corpus.label() + "/" + split.label();
    }

    /** The digest of all rows: it changes with the source, the rules of the corpus, and the split. */
    public record Content(String sha256) implements Text.Content {}

    @Override
    public Content content() throws IOException {
        return new Content(Digests.ofTexts(rows()));
    }

    @Override
    public List<String> rows() throws IOException {
        return corpus.documents(split);
    }
}
