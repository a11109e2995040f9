package dev.ptq.data;

import dev.ptq.config.ConfigException;
import dev.ptq.hub.Hub;
import dev.ptq.hub.HubCache;
import dev.ptq.hub.HubRepo;
import dev.ptq.hub.HubSnapshot;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A split of a data set, in a folder or on the hub.
 *
 * @param dataset a folder, or {@code owner/name}
 * @param config which of several data sets it is
 */
public record DatasetSplit(String dataset, Optional<String> config, String split) {
    static final Found NOTHING = new Found(List.of(), Optional.empty());

    /**
     * The files of a split.
     *
     * @param files in natural order
     * @param commit of a data set of the hub
     */
    public record Found(List<Path> files, Optional<String> commit) {}

    /** Returns its repository on the hub, if no folder has that path. */
    Optional<HubRepo> repo() {
        return DatasetText.isFolder(dataset) ? Optional.empty() : HubRepo.parse(HubRepo.Kind.DATASET, dataset);
    }

    /** Returns where a copy of this hub data set may be, in a folder of data sets or as a folder itself. */
    public List<Path> folders(Path parent) {
        String name = dataset.substring(dataset.lastIndexOf('/') + 1);
        String path = parent.toAbsolutePath().normalize().toString().replace('\\', '/') + "/";
        boolean itself =
                path.endsWith("/" + name + "/") || path.contains("/datasets--" + dataset.replace("/", "--") + "/");
        return itself ? List.of(parent) : List.of(parent.resolve(dataset), parent.resolve(name));
    }

    /**
     * Finds its files, in the folder or in the hub's cache.
     *
     * @throws ConfigException saying what to do, if they are not there
     */
    public Found find() throws IOException {
        Optional<HubRepo> repo = repo();
        if (repo.isEmpty()) {
            return new Found(DatasetFolder.files(Path.of(dataset), config, split), Optional.empty());
        }
        HubCache cache = HubCache.ofProcess();
        Found found = find(repo.get(), cache);
        if (found.files().isEmpty()) {
            throw new ConfigException("there is no folder \"" + dataset
                    + "\" (a path in a file starts at its folder, others at the current directory), and the data set"
                    + " of the hub "
                    + cache.howToFetch(
                            repo.get(), config.map(name -> " --config " + name).orElse("") + " --split " + split));
        }
        return found;
    }

    /** Returns the files in the hub's cache; empty if not all of them are there. */
    private Found find(HubRepo repo, HubCache cache) throws IOException {
        Optional<HubSnapshot> snapshot = cache.find(repo);
        return snapshot.isEmpty()
                ? NOTHING
                : new Found(
                        DatasetFolder.files(repo, snapshot.get(), config, split),
                        Optional.of(snapshot.get().commit()));
    }

    /**
     * Fetches it, if it is on the hub and not in the cache.
     *
     * @throws ConfigException saying what to do, if there is no such data set or split
     */
    public void fetchIfAbsent(Hub hub) throws IOException {
        Optional<HubRepo> repo = repo();
        if (repo.isPresent() && find(repo.get(), hub.cache()).files().isEmpty()) {
            DatasetFolder.fetch(repo.get(), config, split, hub);
        }
    }
}
