package dev.ptq.data;

import dev.ptq.config.ConfigException;
import dev.ptq.hub.Hub;
import dev.ptq.hub.HubListing;
import dev.ptq.hub.HubRepo;
import dev.ptq.hub.HubSnapshot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** A data set in the layout of the Hugging Face hub: a folder of files, or a fetched snapshot. */
public final class DatasetFolder {
    private static final int DEEPEST = 6;
    private static final int MOST_FILES = 20_000;

    private DatasetFolder() {}

    /**
     * Reads the rows of a split, its files in natural order.
     *
     * @param config which of several data sets in the folder; empty if there is one, or a default
     * @throws ConfigException if there is no such split, naming the existing ones
     */
    public static List<Row> rows(Path folder, Optional<String> config, String split) throws IOException {
        List<Row> rows = new ArrayList<>();
        for (Path file : files(folder, config, split)) {
            rows.addAll(Rows.read(file));
        }
        return rows;
    }

    /** Returns the files of a split in natural order. */
    static List<Path> files(Path folder, Optional<String> config, String split) throws IOException {
        return layout(folder).files(config, split).stream().map(folder::resolve).toList();
    }

    /**
     * Returns the files of a split of a data set that was fetched from the hub.
     *
     * @return none if not all of them are there
     * @throws ConfigException if it has no such split
     */
    static List<Path> files(HubRepo repo, HubSnapshot snapshot, Optional<String> config, String split)
            throws IOException {
        List<String> names = snapshot.names();
        if (names.contains(DatasetCard.FILE) && !snapshot.has(DatasetCard.FILE)) {
            return List.of();
        }
        List<String> files;
        try {
            files = layout(repo, names, snapshot).files(config, split);
        } catch (ConfigException e) {
            if (snapshot.isListed()) {
                throw e;
            }
            return List.of(); // another program fetched a different part
        }
        return files.stream().allMatch(snapshot::has)
                ? files.stream().map(snapshot.folder()::resolve).toList()
                : List.of();
    }

    /**
     * Fetches a split of a data set, with the card that lists its files.
     *
     * @throws ConfigException saying what to do, if there is no such data set or split
     */
    public static HubSnapshot fetch(HubRepo repo, Optional<String> config, String split, Hub hub) throws IOException {
        HubListing listing = hub.list(repo);
        boolean card = listing.names().contains(DatasetCard.FILE);
        HubSnapshot snapshot = hub.fetch(listing, card ? List.of(DatasetCard.FILE) : List.of());
        return hub.fetch(listing, layout(repo, listing.names(), snapshot).files(config, split));
    }

    private static DatasetLayout layout(HubRepo repo, List<String> names, HubSnapshot snapshot) throws IOException {
        return new DatasetLayout("data set " + repo.label(), names, card(snapshot.folder()));
    }

    private static DatasetLayout layout(Path folder) throws IOException {
        return new DatasetLayout(folder.toString(), names(folder), card(folder));
    }

    private static Optional<DatasetCard> card(Path folder) throws IOException {
        Path card = folder.resolve(DatasetCard.FILE);
        return Files.isRegularFile(card) ? Optional.of(DatasetCard.read(card)) : Optional.empty();
    }

    /** Returns paths below the folder, with slashes. Hidden files and linked folders are left out. */
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
