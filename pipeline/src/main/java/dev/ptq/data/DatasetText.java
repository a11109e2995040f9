package dev.ptq.data;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.hub.Hub;
import dev.ptq.hub.HubCache;
import dev.ptq.hub.HubRepo;
import dev.ptq.hub.HubSnapshot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/**
 * A split of a data set in a folder, or of the hub.
 *
 * @param dataset as it was written
 * @param config which of several data sets it is
 * @param found its files
 * @param field of a row that holds the text
 */
public record DatasetText(String dataset, Optional<String> config, String split, Found found, String field)
        implements Text {
    private static final Found NOTHING = new Found(List.of(), Optional.empty());

    /**
     * What there is of a split.
     *
     * @param files in natural order
     * @param commit of a data set of the hub
     */
    public record Found(List<Path> files, Optional<String> commit) {}

    /** The keys that say what is wanted. */
    private record Wanted(String dataset, Optional<String> config, String split) {
        static Wanted read(ConfigTable table, String dataset, Split defaultSplit) {
            return new Wanted(dataset, table.optionalString("config"), table.string("split", defaultSplit.label()));
        }

        Optional<HubRepo> repo() {
            return isFolder(dataset) ? Optional.empty() : HubRepo.parse(HubRepo.Kind.DATASET, dataset);
        }

        /** The files in the hub's cache; nothing if not all of them are there. */
        Found find(HubRepo repo, HubCache cache) throws IOException {
            Optional<HubSnapshot> snapshot = cache.find(repo);
            return snapshot.isEmpty()
                    ? NOTHING
                    : new Found(
                            DatasetFolder.files(repo, snapshot.get(), config, split),
                            Optional.of(snapshot.get().commit()));
        }

        Found find() throws IOException {
            Optional<HubRepo> repo = repo();
            if (repo.isEmpty()) {
                return new Found(DatasetFolder.files(Path.of(dataset), config, split), Optional.empty());
            }
            HubCache cache = HubCache.ofProcess();
            Found found = find(repo.get(), cache);
            if (found.files().isEmpty()) {
                throw new ConfigException("there is no folder \"" + dataset
                        + "\" (paths start at the current directory), and the data set of the hub "
                        + cache.howToFetch(
                                repo.get(),
                                config.map(name -> " --config " + name).orElse("") + " --split " + split));
            }
            return found;
        }
    }

    static DatasetText read(ConfigTable table, String dataset, Split defaultSplit) {
        Wanted wanted = Wanted.read(table, dataset, defaultSplit);
        return new DatasetText(
                dataset, wanted.config(), wanted.split(), found(table, wanted), table.string("field", "text"));
    }

    /** The files; nothing if there is a problem, which is noted. */
    private static Found found(ConfigTable table, Wanted wanted) {
        if (!isFolder(wanted.dataset()) && wanted.repo().isEmpty()) {
            List<String> corpora =
                    Arrays.stream(Corpus.values()).map(Corpus::label).sorted().toList();
            table.unknownName(
                    "dataset",
                    "a corpus, one of " + corpora + ", a file that ends in one of " + Rows.ENDINGS
                            + ", a folder of such files, or owner/name on the hub",
                    corpora);
            return NOTHING;
        }
        try {
            return wanted.find();
        } catch (ConfigException | IOException e) {
            table.problem("dataset", String.valueOf(e.getMessage()));
            return NOTHING;
        }
    }

    /**
     * Fetches the text that a table names, if it is one of the hub and not in its cache. What is wrong with the table
     * is for {@link Text#read} to say.
     *
     * @throws ConfigException saying what to do, if there is no such data set or split
     */
    public static void fetchIfAbsent(ConfigTable table, Split defaultSplit, Hub hub) throws IOException {
        String dataset = table.string("dataset");
        if (Corpus.named(dataset).isPresent() || Rows.hasEnding(dataset)) {
            return;
        }
        Wanted wanted = Wanted.read(table, dataset, defaultSplit);
        Optional<HubRepo> repo = wanted.repo();
        if (repo.isPresent() && wanted.find(repo.get(), hub.cache()).files().isEmpty()) {
            DatasetFolder.fetch(repo.get(), wanted.config(), wanted.split(), hub);
        }
    }

    static boolean isFolder(String dataset) {
        try {
            return !dataset.isEmpty() && Files.isDirectory(Path.of(dataset));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    /** The last part of the data set's name. */
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

    /** The digest of the files, and which field is read. */
    public record Content(String sha256, String field) implements Text.Content {}

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
