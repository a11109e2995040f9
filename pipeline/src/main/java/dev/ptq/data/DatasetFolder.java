package dev.ptq.data;

import dev.ptq.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** A folder with the files of a data set, laid out as on the Hugging Face hub. */
public final class DatasetFolder {
    private static final int DEEPEST = 6;
    private static final int MOST_FILES = 20_000;

    private DatasetFolder() {}

    /**
     * The rows of a split, its files in natural order.
     *
     * @param config which of several data sets in the folder; empty if there is one, or a default
     * @throws ConfigException if there is no such split, naming those that there are
     */
    public static List<Row> rows(Path folder, Optional<String> config, String split) throws IOException {
        List<Row> rows = new ArrayList<>();
        for (Path file : files(folder, config, split)) {
            rows.addAll(Rows.read(file));
        }
        return rows;
    }

    /** The files of a split in natural order. */
    static List<Path> files(Path folder, Optional<String> config, String split) throws IOException {
        return layout(folder).files(config, split).stream().map(folder::resolve).toList();
    }

    private static DatasetLayout layout(Path folder) throws IOException {
        Path card = folder.resolve(DatasetCard.FILE);
        Optional<DatasetCard> read = Files.isRegularFile(card) ? Optional.of(DatasetCard.read(card)) : Optional.empty();
        return new DatasetLayout(folder.toString(), names(folder), read);
    }

    /** Paths below the folder, with slashes. Hidden files and linked folders are left out. */
    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder, DEEPEST)) {
            List<String> names = files.filter(Files::isRegularFile)
                    .map(file -> folder.relativize(file).toString().replace('\\', '/'))
                    .filter(name -> !name.startsWith(".") && !name.contains("/."))
                    .limit(MOST_FILES)
                    .toList();
            if (names.size() == MOST_FILES) {
                throw new ConfigException(folder + ": has more than " + MOST_FILES + " files; name one of its folders");
            }
            return names;
        }
    }
}
