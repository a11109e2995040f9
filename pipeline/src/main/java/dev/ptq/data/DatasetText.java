package dev.ptq.data;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.hub.Hub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A split of a data set, in a folder or on the hub.
 *
 * @param dataset as it was written
 * @param config which of several data sets it is
 * @param found its files
 * @param field of a row that holds the text
 */
public record DatasetText(String dataset, Optional<String> config, String split, DatasetSplit.Found found, String field)
        implements Text {
    private static DatasetSplit wanted(ConfigTable table, String dataset, Split defaultSplit) {
        return new DatasetSplit(dataset, table.read(TextKeys.CONFIG), table.read(TextKeys.split(defaultSplit)));
    }

    static DatasetText read(ConfigTable table, String dataset, Split defaultSplit) {
        DatasetSplit wanted = wanted(table, dataset, defaultSplit);
        return new DatasetText(
                dataset, wanted.config(), wanted.split(), found(table, wanted), table.read(TextKeys.FIELD));
    }

    /** Returns the files; empty if there is a problem, which is reported. */
    private static DatasetSplit.Found found(ConfigTable table, DatasetSplit wanted) {
        if (!isFolder(wanted.dataset()) && wanted.repo().isEmpty()) {
            List<String> corpora =
                    Arrays.stream(Corpus.values()).map(Corpus::label).sorted().toList();
            table.unknownName(
                    TextKeys.DATASET,
                    "a corpus, one of " + corpora + ", a file that ends in one of " + Rows.ENDINGS
                            + ", a folder of such files, or owner/name on the hub",
                    corpora);
            return DatasetSplit.NOTHING;
        }
        try {
            return wanted.find();
        } catch (ConfigException | IOException e) {
            table.problem(TextKeys.DATASET, String.valueOf(e.getMessage()));
            return DatasetSplit.NOTHING;
        }
    }

    /**
     * Fetches the text that a table names, if it is on the hub and not in the cache. Problems with the table are left
     * to {@link Text#read}.
     *
     * @throws ConfigException saying what to do, if there is no such data set or split
     */
    public static void fetchIfAbsent(ConfigTable table, Split defaultSplit, Hub hub) throws IOException {
        String dataset = table.read(TextKeys.DATASET);
        if (Corpus.named(dataset).isPresent() || Rows.hasEnding(dataset)) {
            return;
        }
        wanted(table, dataset, defaultSplit).fetchIfAbsent(hub);
    }

    static boolean isFolder(String dataset) {
        try {
            return !dataset.isEmpty() && Files.isDirectory(Path.of(dataset));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    /** Returns the last part of the data set's name. */
    @Override
    public String name() {
        String last = TextFile.lastPart(dataset);
        return found.commit().isPresent() ? last.replaceFirst("@.*", "") : last;
    }

    @Override
    public String label() {
        return dataset.isEmpty() ? "" : dataset + config.map(name -> "/" + name).orElse("") + "/" + split;
    }

    @Override
    public Optional<String> commit() {
        return found.commit();
    }

    /** The digest of the files, and the field that is read. */
    public record Content(String sha256, String field) implements Text.Content {}

    @Override
    public List<Path> files() {
        return found.files();
    }

    @Override
    public Content content() throws IOException {
        return new Content(Digests.of(found.files()), field);
    }

    @Override
    public List<String> rows() throws IOException {
        List<String> texts = new ArrayList<>();
        for (Path file : found.files()) {
            texts.addAll(TextFile.texts(Rows.read(file, field), field));
        }
        return texts;
    }
}
