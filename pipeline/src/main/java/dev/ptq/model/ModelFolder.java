package dev.ptq.model;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Spelling;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/**
 * Where a model is.
 *
 * @param name what the user wrote, for whatever is kept or shown
 * @param path a folder
 */
public record ModelFolder(String name, Path path) {
    /** The models that come with the program: their names, with one line on each. */
    public static Map<String, String> shipped() {
        return Collections.unmodifiableMap(new TreeMap<>(ShippedModels.NAMES));
    }

    /**
     * Finds the folder that {@code name} stands for.
     *
     * @param name of a shipped model, which goes before a folder of that name, or the path of a folder
     * @throws ConfigException if it is neither; the message does not say where the name was written
     * @throws IOException if a shipped model cannot be put where it can be read
     */
    public static ModelFolder resolve(String name) throws IOException {
        ClassLoader classes = ModelFolder.class.getClassLoader();
        return resolve(
                name, new ShippedModels(classes, TensorEngine.cacheFolder().resolve("models")));
    }

    /** As above, with shipped models from elsewhere. */
    static ModelFolder resolve(String name, ShippedModels shipped) throws IOException {
        if (ShippedModels.NAMES.containsKey(name)) {
            return new ModelFolder(name, shipped.folder(name));
        }
        if (!isFolder(name)) {
            throw new ConfigException("expected the name of a shipped model ("
                    + String.join(", ", shipped().keySet())
                    + ") or the path of a Hugging Face model folder, got \"" + name
                    + "\" (paths start at the current directory)"
                    + Spelling.hint(Spelling.closest(name, shipped().keySet())));
        }
        return new ModelFolder(name, Path.of(name));
    }

    private static boolean isFolder(String name) {
        try {
            return !name.isEmpty() && Files.isDirectory(Path.of(name));
        } catch (InvalidPathException e) {
            return false;
        }
    }
}
