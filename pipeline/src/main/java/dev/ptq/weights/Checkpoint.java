package dev.ptq.weights;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The tensors of a model folder: {@code model.safetensors}, or shards with {@code model.safetensors.index.json}. */
public final class Checkpoint implements WeightSource {
    private final Path folder;
    private final List<Safetensors> files = new ArrayList<>();
    private final Map<String, Safetensors> owners = new LinkedHashMap<>();

    private Checkpoint(Path folder) {
        this.folder = folder;
    }

    /** The files of a checkpoint, index included. */
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
            List<Path> files = files(folder);
            for (Path file : files) {
                if (file.toString().endsWith(".safetensors")) {
                    if (!Files.exists(file)) {
                        throw new IOException(files.get(0) + ": names " + file.getFileName()
                                + ", and there is no such file in the folder; fetch it too");
                    }
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

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(owners.keySet());
    }

    @Override
    public Weight weight(String name) throws IOException {
        Safetensors owner = owners.get(name);
        if (owner == null) {
            throw missing(name);
        }
        return new Stored(owner, name, owner.shape(name), owner.type(name));
    }

    /** Returns the file of a tensor, for tensors that are no weights. */
    public Safetensors file(String name) throws IOException {
        Safetensors owner = owners.get(name);
        if (owner == null) {
            throw missing(name);
        }
        return owner;
    }

    /** Returns whether a tensor is stored as floating point numbers of at least 16 bits. */
    public boolean hasFloats(String name) throws IOException {
        return StoredType.named(storedType(name)).filter(StoredType::isFloat).isPresent();
    }

    /** Returns the type of a tensor as its file has it, known or not. */
    public String storedType(String name) throws IOException {
        return Objects.requireNonNull(file(name).entries().get(name)).type();
    }

    private IOException missing(String name) {
        return new IOException(folder + ": no tensor " + name + " in "
                + files.stream().map(f -> f.file().getFileName()).toList());
    }

    /** A tensor of one of the files. */
    private record Stored(Safetensors file, String name, List<Long> shape, StoredType type) implements Weight {
        @Override
        public String origin() {
            return file.file() + ": tensor " + name;
        }

        @Override
        public NDArray load(NDManager manager) throws IOException {
            return finite(file.load(manager, name));
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) throws IOException {
            // a vector's rows are its values
            return shape.size() == 1
                    ? finite(file.load(manager, name).get(new NDIndex("{}:{}", from, to)))
                    : finite(file.loadRows(manager, name, from, to));
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) throws IOException {
            return finite(file.gatherRows(manager, name, rows));
        }

        private NDArray finite(NDArray values) throws IOException {
            if (!NativeFloats.allFinite(values)) {
                throw new IOException(origin() + " has a value that is NaN or infinite; the checkpoint is damaged");
            }
            return values;
        }
    }

    @Override
    public void close() throws IOException {
        for (Safetensors file : files) {
            file.close();
        }
    }
}
