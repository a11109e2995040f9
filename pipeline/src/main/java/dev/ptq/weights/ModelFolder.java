package dev.ptq.weights;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Spelling;
import dev.ptq.environment.CacheFolder;
import dev.ptq.hub.Hub;
import dev.ptq.hub.HubCache;
import dev.ptq.hub.HubListing;
import dev.ptq.hub.HubRepo;
import dev.ptq.hub.HubSnapshot;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The place of a model.
 *
 * @param name as the user wrote it, for stored and displayed text
 * @param path a folder
 * @param commit of a model of the hub
 */
public record ModelFolder(String name, Path path, Optional<String> commit) {
    private static final String CONFIG = "config.json";
    private static final String TOKENIZER = "tokenizer.json";
    private static final String WEIGHTS = "model.safetensors";
    /** Files in which older tools describe packed weights. */
    private static final List<String> PACKING =
            List.of("quantize_config.json", "quant_config.json", "hf_quant_config.json");

    private static final String INDEX = "model.safetensors.index.json";

    /** A folder that is not from the hub. */
    public ModelFolder(String name, Path path) {
        this(name, path, Optional.empty());
    }

    /** The shipped models: their names, each with a one-line description. */
    public static Map<String, String> shipped() {
        return Collections.unmodifiableMap(new TreeMap<>(ShippedModels.NAMES));
    }

    /**
     * Finds the folder that {@code name} stands for. Opens no connection.
     *
     * @param name in this order: a shipped model, the path of a folder, or a fetched model of the hub, {@code
     *     owner/name} or {@code owner/name@revision}
     * @throws ConfigException if it is none of them; the message does not say where the name was written
     * @throws IOException if a shipped model cannot be put where it can be read
     */
    public static ModelFolder resolve(String name) throws IOException {
        ClassLoader classes = ModelFolder.class.getClassLoader();
        return resolve(name, new ShippedModels(classes, CacheFolder.path().resolve("models")));
    }

    /** The same with shipped models from elsewhere. */
    static ModelFolder resolve(String name, ShippedModels shipped) throws IOException {
        if (ShippedModels.NAMES.containsKey(name)) {
            return new ModelFolder(name, shipped.folder(name));
        }
        if (isFolder(name)) {
            return new ModelFolder(name, Path.of(name));
        }
        Optional<HubRepo> repo = HubRepo.parse(HubRepo.Kind.MODEL, name);
        if (repo.isEmpty()) {
            throw new ConfigException("expected the name of a shipped model ("
                    + String.join(", ", shipped().keySet())
                    + "), the path of a Hugging Face model folder, or owner/name on the hub, got \"" + name
                    + "\" (paths start at the current directory)"
                    + Spelling.hint(Spelling.closest(name, shipped().keySet())));
        }
        HubCache cache = HubCache.ofProcess();
        return fetched(name, repo.get(), cache)
                .orElseThrow(() -> new ConfigException("there is no folder \"" + name
                        + "\" (paths start at the current directory), and the model of the hub "
                        + cache.howToFetch(repo.get(), "")));
    }

    /** The model in the hub cache, if it is complete there. */
    private static Optional<ModelFolder> fetched(String name, HubRepo repo, HubCache cache) throws IOException {
        Optional<HubSnapshot> snapshot = cache.find(repo);
        return snapshot.isPresent() && isWhole(snapshot.get().folder())
                ? Optional.of(new ModelFolder(
                        name,
                        snapshot.get().folder(),
                        Optional.of(snapshot.get().commit())))
                : Optional.empty();
    }

    private static boolean isWhole(Path folder) throws IOException {
        boolean weights = Files.exists(folder.resolve(WEIGHTS)) || Files.exists(folder.resolve(INDEX));
        return weights
                && Files.exists(folder.resolve(CONFIG))
                && Files.exists(folder.resolve(TOKENIZER))
                && Checkpoint.files(folder).stream().allMatch(Files::exists);
    }

    /**
     * Fetches the model that {@code name} stands for, if it is on the hub and not in its cache.
     *
     * @throws ConfigException saying what to do, if there is none of that name or it cannot be read
     */
    public static void fetchIfAbsent(String name, Hub hub) throws IOException {
        Optional<HubRepo> repo = ShippedModels.NAMES.containsKey(name) || isFolder(name)
                ? Optional.empty()
                : HubRepo.parse(HubRepo.Kind.MODEL, name);
        if (repo.isPresent() && fetched(name, repo.get(), hub.cache()).isEmpty()) {
            fetch(repo.get(), hub);
        }
    }

    /**
     * Fetches the parts of a model: its config, its tokenizer and its weights as safetensors. Weights in other forms,
     * some of which are programs, are left alone.
     *
     * @throws ConfigException saying what to do, if there is none of that name or it cannot be read
     */
    public static HubSnapshot fetch(HubRepo repo, Hub hub) throws IOException {
        HubListing listing = hub.list(repo);
        List<String> small = listing.names().stream()
                .filter(name -> name.equals(CONFIG)
                        || name.equals("special_tokens_map.json")
                        || PACKING.contains(name)
                        || name.matches("tokenizer[^/]*\\.json"))
                .toList();
        boolean single = listing.names().contains(WEIGHTS);
        List<String> lacks = new ArrayList<>(List.of(CONFIG, TOKENIZER));
        lacks.removeAll(small);
        if (!single && !listing.names().contains(INDEX)) {
            lacks.add(WEIGHTS + " (weights in other forms, such as .bin, are not read)");
        }
        if (!lacks.isEmpty()) {
            throw new ConfigException("model " + repo.label() + ": has no " + String.join(", no ", lacks)
                    + "; take another model, or a revision that has it: " + repo.name() + "@REVISION");
        }
        hub.fetch(listing, small);
        Path folder = hub.fetch(listing, List.of(single ? WEIGHTS : INDEX)).folder();
        List<String> weights = Checkpoint.files(folder).stream()
                .map(file -> folder.relativize(file).toString())
                .toList();
        if (!listing.names().containsAll(weights)) {
            throw new ConfigException(
                    "model " + repo.label() + ": its " + INDEX + " names files that it does not have");
        }
        return hub.fetch(listing, weights);
    }

    private static boolean isFolder(String name) {
        try {
            return !name.isEmpty() && Files.isDirectory(Path.of(name));
        } catch (InvalidPathException e) {
            return false;
        }
    }
}
