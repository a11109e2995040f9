package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Spelling;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** An input file of a command. */
final class InputFile {
    private InputFile() {}

    /**
     * Makes sure that it is there.
     *
     * @throws ConfigException naming the file of its folder that was probably meant, if it is not
     */
    static void require(Path file) {
        if (!Files.isRegularFile(file)) {
            throw new ConfigException(file + ": no such file" + hint(file, Files::isRegularFile));
        }
    }

    /** Returns a hint at the neighbour of that kind that was probably meant, if there is one. */
    static String hint(Path file, Predicate<Path> kind) {
        return Spelling.hint(Spelling.closest(String.valueOf(file.getFileName()), neighbours(file, kind))
                .map(name -> file.resolveSibling(name).toString()));
    }

    private static List<String> neighbours(Path file, Predicate<Path> kind) {
        Path folder = Optional.ofNullable(file.getParent()).orElse(Path.of(""));
        if (!Files.isDirectory(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(kind)
                    .map(other -> String.valueOf(other.getFileName()))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            // there is nothing to suggest
            return List.of();
        }
    }
}
