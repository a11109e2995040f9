package dev.ptq.weights;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Spelling;
import dev.ptq.environment.CacheFolder;
import dev.ptq.gguf.Gguf;
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
 * @param path a folder, or a GGUF file
 * @param tokenizer a folder, the path of a {@code tokenizer.json}, or a GGUF file
 * @param commit of a model of the hub
 */
public record ModelFolder(String name, Path path, Path tokenizer, Optional<String> commit) {
    private static final String CONFIG = "config.json";
    private static final String TOKENIZER = "tokenizer.json";
    private static final String WEIGHTS = "model.safetensors";
    public static final String GPTQ_PACKING = "quantize_config.json";
    public static final String AWQ_PACKING = "quant_config.json";
    public static final String MODELOPT_PACKING = "hf_quant_config.json";
    /** Files in which older tools describe packed weights. */
    public static final List<String> PACKING = List.of(GPTQ_PACKING, AWQ_PACKING, MODELOPT_PACKING);

    private static final String INDEX = "model.safetensors.index.json";

    /** A model that is not from the hub, with its own tokenizer. */
    public ModelFolder(String name, Path path) {
        this(name, path, path, Optional.empty());
    }

    /**
     * The same with another tokenizer.
     *
     * @param place a folder, the path of a {@code tokenizer.json}, or a GGUF file
     * @throws ConfigException if there is nothing; the message does not say where it was written
     */
    public ModelFolder withTokenizer(String place) {
        if (!isFolder(place) && !isFile(place)) {
            throw new ConfigException(
                    "expected a folder with " + TOKENIZER + ", such a file, or a GGUF file, got \"" + place
                            + "\", where there is nothing (a path in a file starts at its folder, others at the"
                            + " current directory)");
        }
        return new ModelFolder(name, path, Path.of(place), commit);
    }

    /** The files that its weights and its shape are in. */
    public List<Path> files() throws IOException {
        if (isFile(path.toString())) {
            return Gguf.open(path).files();
        }
        List<Path> files = new ArrayList<>(List.of(path.resolve(CONFIG)));
        files.addAll(packingFiles(path));
        files.addAll(Checkpoint.files(path));
        return files;
    }

    /** Returns the bytes of the files that its weights are in. */
    public long weightBytes() throws IOException {
        long bytes = 0;
        for (Path file : isFile(path.toString()) ? Gguf.open(path).files() : Checkpoint.files(path)) {
            bytes += file.toString().endsWith(INDEX) ? 0 : Files.size(file);
        }
        return bytes;
    }

    /** Returns the files that a folder has of {@link #PACKING}. */
    public static List<Path> packingFiles(Path folder) {
        return PACKING.stream().map(folder::resolve).filter(Files::exists).toList();
    }

    /** The shipped models: their names, each with a one-line description. */
    public static Map<String, String> shipped() {
        return Collections.unmodifiableMap(new TreeMap<>(ShippedModels.NAMES));
    }

    /**
     * Finds the model that {@code name} stands for. Opens no connection.
     *
     * @param name in this order: a shipped model, the path of a folder or of a GGUF file, or a fetched model of the hub,
     *     {@code owner/name} or {@code owner/name@revision}
     * @param file of a folder, or of the hub, that has several GGUF files; empty if it has not
     * @throws ConfigException if it is none of them; the message does not say where the name was written
     * @throws IOException if a shipped model cannot be put where it can be read
     */
    public static ModelFolder resolve(String name, String file) throws IOException {
        ClassLoader classes = ModelFolder.class.getClassLoader();
        return resolve(name, file, new ShippedModels(classes, CacheFolder.path().resolve("models")));
    }

    /** The same for a place with one model. */
    public static ModelFolder resolve(String name) throws IOException {
        return resolve(name, "");
    }

    /** The same with shipped models from elsewhere. */
    static ModelFolder resolve(String name, String file, ShippedModels shipped) throws IOException {
        boolean isShipped = ShippedModels.NAMES.containsKey(name);
        if (!file.isEmpty() && (isShipped || isFile(name))) {
            throw new ConfigException(
                    "file: expected none, because \"" + name + "\" is no folder of GGUF files, got \"" + file + "\"");
        }
        if (isShipped) {
            return new ModelFolder(name, shipped.folder(name));
        }
        if (isFolder(name)) {
            return new ModelFolder(name, inFolder(Path.of(name), file));
        }
        if (name.endsWith(Gguf.ENDING)) {
            if (!isFile(name)) {
                throw new ConfigException("there is no file \"" + name
                        + "\" (a path in a file starts at its folder, others at the current directory)");
            }
            return new ModelFolder(name, Path.of(name));
        }
        Optional<HubRepo> repo = HubRepo.parse(HubRepo.Kind.MODEL, name);
        if (repo.isEmpty()) {
            throw new ConfigException("expected the name of a shipped model ("
                    + String.join(", ", shipped().keySet())
                    + "), the path of a Hugging Face model folder or of a GGUF file, or owner/name on the hub, got \""
                    + name
                    + "\" (a path in a file starts at its folder, others at the current directory)"
                    + Spelling.hint(Spelling.closest(name, shipped().keySet())));
        }
        HubCache cache = HubCache.ofProcess();
        String options = file.isEmpty() ? "" : " --file " + file;
        return fetched(name, file, repo.get(), cache)
                .orElseThrow(() -> new ConfigException("there is no folder \"" + name
                        + "\" (a path in a file starts at its folder, others at the current directory), and the model"
                        + " of the hub "
                        + cache.howToFetch(repo.get(), options)));
    }

    /** The model in the hub cache, if it is complete there. */
    private static Optional<ModelFolder> fetched(String name, String file, HubRepo repo, HubCache cache)
            throws IOException {
        Optional<HubSnapshot> snapshot = cache.find(repo);
        if (snapshot.isEmpty() || !isWhole(snapshot.get().folder(), file)) {
            return Optional.empty();
        }
        Path path = inFolder(snapshot.get().folder(), file);
        return Optional.of(
                new ModelFolder(name, path, path, Optional.of(snapshot.get().commit())));
    }

    /** A folder, or the GGUF file in it that is meant. */
    private static Path inFolder(Path folder, String file) throws IOException {
        boolean isPlain = Files.exists(folder.resolve(WEIGHTS)) || Files.exists(folder.resolve(INDEX));
        if (file.isEmpty() && isPlain) {
            return folder;
        }
        return GgufFolder.choose(folder.toString(), GgufFolder.names(folder), file)
                .map(folder::resolve)
                .orElse(folder);
    }

    private static boolean isWhole(Path folder, String file) throws IOException {
        List<String> models = GgufFolder.names(folder);
        if (!file.isEmpty() ? models.contains(file) : !models.isEmpty() && !Files.exists(folder.resolve(CONFIG))) {
            return Gguf.parts(file.isEmpty() ? models.get(0) : file).stream()
                    .allMatch(part -> Files.exists(folder.resolve(part)));
        }
        if (!file.isEmpty()) {
            return false;
        }
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
    public static void fetchIfAbsent(String name, String file, Hub hub) throws IOException {
        Optional<HubRepo> repo = ShippedModels.NAMES.containsKey(name) || isFolder(name) || name.endsWith(Gguf.ENDING)
                ? Optional.empty()
                : HubRepo.parse(HubRepo.Kind.MODEL, name);
        if (repo.isPresent() && fetched(name, file, repo.get(), hub.cache()).isEmpty()) {
            fetch(repo.get(), file, hub);
        }
    }

    /**
     * Fetches the parts of a model: its config, its tokenizer and its weights as safetensors; or a GGUF file if one is
     * named, or there is nothing else. Weights in other forms, some of which are programs, are left alone.
     *
     * @param file one of several GGUF files; empty if it is not meant
     * @throws ConfigException saying what to do, if there is none of that name or it cannot be read
     */
    public static HubSnapshot fetch(HubRepo repo, String file, Hub hub) throws IOException {
        HubListing listing = hub.list(repo);
        boolean isPlain = listing.names().contains(WEIGHTS) || listing.names().contains(INDEX);
        Optional<String> packed = file.isEmpty() && isPlain
                ? Optional.empty()
                : GgufFolder.choose("model " + repo.label(), listing.names(), file);
        if (packed.isPresent()) {
            return hub.fetch(listing, Gguf.parts(packed.get()));
        }
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
                .map(each -> folder.relativize(each).toString())
                .toList();
        if (!listing.names().containsAll(weights)) {
            throw new ConfigException(
                    "model " + repo.label() + ": its " + INDEX + " names files that it does not have");
        }
        return hub.fetch(listing, weights);
    }

    private static boolean isFile(String name) {
        try {
            return Files.isRegularFile(Path.of(name));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    private static boolean isFolder(String name) {
        try {
            return !name.isEmpty() && Files.isDirectory(Path.of(name));
        } catch (InvalidPathException e) {
            return false;
        }
    }
}
