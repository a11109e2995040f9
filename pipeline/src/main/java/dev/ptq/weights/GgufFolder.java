package dev.ptq.weights;

import dev.ptq.config.ConfigException;
import dev.ptq.gguf.Gguf;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Which of the GGUF files of a model is meant, in a folder or on the hub. */
final class GgufFolder {
    /** The part of a model that is for images. */
    private static final String PROJECTOR = "mmproj";

    private GgufFolder() {}

    /**
     * Chooses a file.
     *
     * @param names of files, with the folders that they are in
     * @param file as the user named it; empty if not
     * @return the first part of a split file; empty if there is none and none was named
     * @throws ConfigException if there is no such file, or more than one could be meant
     */
    static Optional<String> choose(String place, List<String> names, String file) {
        List<String> there = names.stream()
                .filter(name -> name.endsWith(Gguf.ENDING))
                .filter(name -> !Gguf.isLaterPart(Path.of(name)))
                .sorted()
                .toList();
        if (!file.isEmpty()) {
            if (!there.contains(file)) {
                throw new ConfigException("file: expected a GGUF file of " + place + ", "
                        + (there.isEmpty() ? "which has none" : "one of " + there) + ", got \"" + file + "\"");
            }
            return Optional.of(file);
        }
        List<String> models = there.stream()
                .filter(name -> !String.valueOf(Path.of(name).getFileName()).startsWith(PROJECTOR))
                .toList();
        if (models.size() > 1) {
            throw new ConfigException(place + " has several GGUF files; name one by file: " + models);
        }
        return models.stream().findFirst();
    }

    /** The GGUF files in a folder and in the folders directly in it. */
    static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files =
                Files.find(folder, 2, (file, attributes) -> Gguf.isNameOf(file) && !attributes.isDirectory())) {
            return files.map(file -> folder.relativize(file).toString().replace('\\', '/'))
                    .sorted()
                    .toList();
        } catch (UncheckedIOException e) {
            throw new IOException(folder + ": " + e.getMessage(), e);
        }
    }
}
