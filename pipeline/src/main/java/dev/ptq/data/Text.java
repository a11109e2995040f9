package dev.ptq.data;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Keys;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** A text, divided into rows, the units that perplexity protocols join. */
public sealed interface Text permits TextFile, CorpusText, DatasetText {
    /**
     * Returns the keys that name a text.
     *
     * @param defaultSplit of a corpus or data set, if the table names none
     */
    static Keys keys(Split defaultSplit) {
        return TextKeys.all(defaultSplit);
    }

    /**
     * Reads the keys of {@code table} that name a text.
     *
     * @param defaultSplit of a corpus or data set, if the table names none
     */
    static Text read(ConfigTable table, Split defaultSplit) {
        String dataset = table.read(TextKeys.DATASET);
        Optional<Corpus> corpus = Corpus.named(dataset);
        if (corpus.isPresent()) {
            return CorpusText.read(table, corpus.get(), defaultSplit);
        }
        boolean file = Rows.hasEnding(dataset) && !DatasetText.isFolder(dataset);
        return file ? TextFile.read(table, dataset, defaultSplit) : DatasetText.read(table, dataset, defaultSplit);
    }

    /** Returns the name in metrics unless the config gives another. */
    String name();

    /** Returns the name in messages. */
    String label();

    /** Returns the commit on the hub that it was fetched from. */
    default Optional<String> commit() {
        return Optional.empty();
    }

    /** Returns the files or folders that hold it; none if the program itself does. */
    default List<Path> files() {
        return List.of();
    }

    /** Hashes the text. */
    Content content() throws IOException;

    /**
     * Reads the rows.
     *
     * @throws IOException naming the file, and the line where one is at fault
     */
    List<String> rows() throws IOException;

    /** The part of a text that goes into fingerprints. */
    sealed interface Content permits TextFile.Content, CorpusText.Content, DatasetText.Content {
        String sha256();
    }
}
