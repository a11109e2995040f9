package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The tensors of a model folder: {@code model.safetensors}, or shards with {@code model.safetensors.index.json}. */
public final class Checkpoint implements AutoCloseable {
    private final Path folder;
    private final List<Safetensors> files = new ArrayList<>();
    private final Map<String, Safetensors> owners = new LinkedHashMap<>();

    private Checkpoint(Path folder) {
        this.folder = folder;
    }

    /** The files a checkpoint consists of, index included. */
    public static List<Path> files(Path folder) throws IOException {
        Path single = folder.resolve("model.safetensors");
        if (Files.exists(single)) {
            return List.of(single);
        }
        Path index = folder.resolve("model.safetensors.index.json");
        if (!Files.exists(index)) {
            throw new IOException(
                    folder + ": expected model.safetensors or model.safetensors.index.json, found neither");
        }
        List<Path> files = new ArrayList<>(List.of(index));
        for (String shard : new LinkedHashSet<>(weightMap(index).values())) {
            files.add(folder.resolve(shard));
        }
        return files;
    }

    /**
     * Opens the files and checks their headers.
     *
     * @throws IOException naming the file, and the tensor where one is at fault
     */
    public static Checkpoint open(Path folder) throws IOException {
        Checkpoint checkpoint = new Checkpoint(folder);
        try {
            for (Path file : files(folder)) {
                if (file.toString().endsWith(".safetensors")) {
                    Safetensors opened = Safetensors.open(file);
                    checkpoint.files.add(opened);
                    opened.entries().keySet().forEach(name -> checkpoint.owners.put(name, opened));
                }
            }
            Path index = folder.resolve("model.safetensors.index.json");
            if (checkpoint.files.size() > 1 || !Files.exists(folder.resolve("model.safetensors"))) {
                for (Map.Entry<String, String> promised : weightMap(index).entrySet()) {
                    Safetensors owner = checkpoint.owners.get(promised.getKey());
                    if (owner == null || !owner.file().endsWith(promised.getValue())) {
                        throw new IOException(index + ": promises tensor " + promised.getKey() + " in "
                                + promised.getValue() + ", which does not have it");
                    }
                }
            }
            return checkpoint;
        } catch (IOException | RuntimeException e) {
            checkpoint.close();
            throw e;
        }
    }

    private static Map<String, String> weightMap(Path index) throws IOException {
        JsonNode json;
        try {
            json = JsonMapper.shared().readTree(Files.readAllBytes(index));
        } catch (JacksonException e) {
            throw new IOException(index + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        Map<String, String> map = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry : json.path("weight_map").properties()) {
            String shard = entry.getValue().asString("");
            // a file of this folder, whatever the index says
            if (!shard.matches("[A-Za-z0-9][A-Za-z0-9._-]*\\.safetensors")) {
                throw new IOException(index + ": weight_map." + entry.getKey()
                        + ": expected the name of a .safetensors file in the same folder, got \"" + shard + "\"");
            }
            map.put(entry.getKey(), shard);
        }
        if (map.isEmpty()) {
            throw new IOException(index + ": expected a weight_map, found none");
        }
        return map;
    }

    /** The names of all tensors. */
    public Set<String> names() {
        return owners.keySet();
    }

    /**
     * Returns a tensor as float32.
     *
     * @throws IOException naming file and tensor, if it is missing, or a value is NaN or infinite
     */
    public NDArray load(NDManager manager, String name) throws IOException {
        return finite(owner(name).load(manager, name), name);
    }

    /** Returns rows of a matrix as float32, with the same checks. */
    public NDArray loadRows(NDManager manager, String name, int from, int to) throws IOException {
        return finite(owner(name).loadRows(manager, name, from, to), name);
    }

    /** Returns the named rows of a matrix as float32, with the same checks. */
    public NDArray gatherRows(NDManager manager, String name, int[] rows) throws IOException {
        return finite(owner(name).gatherRows(manager, name, rows), name);
    }

    private NDArray finite(NDArray values, String name) throws IOException {
        if (!NativeFloats.allFinite(values)) {
            throw new IOException(owner(name).file() + ": tensor " + name
                    + " has a value that is NaN or infinite; the checkpoint is damaged");
        }
        return values;
    }

    /**
     * Checks that a tensor is there with the shape the model's config implies.
     *
     * @throws IOException naming file and tensor
     */
    public void expect(String name, List<Long> shape) throws IOException {
        Safetensors owner = owner(name);
        List<Long> found = owner.shape(name);
        if (!found.equals(shape)) {
            throw new IOException(
                    owner.file() + ": tensor " + name + ": config.json implies shape " + shape + ", found " + found);
        }
    }

    private Safetensors owner(String name) throws IOException {
        Safetensors owner = owners.get(name);
        if (owner == null) {
            throw new IOException(folder + ": no tensor " + name + " in "
                    + files.stream().map(f -> f.file().getFileName()).toList());
        }
        return owner;
    }

    @Override
    public void close() throws IOException {
        for (Safetensors file : files) {
            file.close();
        }
    }
}
