package dev.ptq.data;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * A split of a data set in a folder; each row is one.
 *
 * @param dataset as it was written
 * @param config which of several data sets it is
 * @param files in natural order
 * @param field of a row that holds the text
 */
public record DatasetText(String dataset, Optional<String> config, String split, List<Path> files, String field)
        implements Text {
    static DatasetText read(ConfigTable table, String dataset, Split defaultSplit) {
        Optional<String> config = table.optionalString("config");
        String split = table.string("split", defaultSplit.label());
        String field = table.string("field", "text");
        return new DatasetText(dataset, config, split, files(table, dataset, config, split), field);
    }

    /** The files; none if there is a problem, which is noted. */
    private static List<Path> files(ConfigTable table, String dataset, Optional<String> config, String split) {
        if (!isFolder(dataset)) {
            List<String> corpora =
                    Arrays.stream(Corpus.values()).map(Corpus::label).sorted().toList();
            table.unknownName(
                    "dataset",
                    "a corpus, one of " + corpora + ", a file that ends in one of " + Rows.ENDINGS
                            + ", or a folder of such files",
                    corpora);
            return List.of();
        }
        try {
            return DatasetFolder.files(Path.of(dataset), config, split);
        } catch (ConfigException | IOException e) {
            table.problem("dataset", String.valueOf(e.getMessage()));
            return List.of();
        }
    }

    private static boolean isFolder(String dataset) {
        try {
            return !dataset.isEmpty() && Files.isDirectory(Path.of(dataset));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    /** The last part of the folder's name. */
    @Override
    public String name() {
        return Objects.toString(Path.of(dataset).getFileName(), dataset);
    }

    @Override
    public String label() {
        return dataset + config.map(name -> "/" + name).orElse("") + "/" + split;
    }

    /** The digest of the files, and which field is read. */
    public record Content(String sha256, String field) implements Text.Content {}

    @Override
    public Content content() throws IOException {
        return new Content(Digests.of(files), field);
    }

    @Override
    public List<String> rows() throws IOException {
        List<String> texts = new ArrayList<>();
        for (Path file : files) {
            texts.addAll(TextFile.texts(Rows.read(file, field), field));
        }
        return texts;
    }
}
