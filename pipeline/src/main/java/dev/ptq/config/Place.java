package dev.ptq.config;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Optional;

/**
 * What a path in a config means: it starts at the folder of the file that it stands in, one of the command line at the
 * current directory.
 *
 * @param path to use; as written if there is nothing in either place, as for a name that is no path
 * @param warning that it was found from the current directory alone
 * @param problem that it was found from both, and the two differ
 */
record Place(String path, Optional<String> warning, Optional<String> problem) {
    private static Place plain(String path) {
        return new Place(path, Optional.empty(), Optional.empty());
    }

    /**
     * Finds a path.
     *
     * @param written the path, or a name
     * @param position where it is written
     */
    static Place of(String written, Position position) {
        try {
            Path here = Path.of(written);
            Path folder = position.inFile() ? Path.of(position.source()).getParent() : null;
            if (written.isBlank() || here.isAbsolute() || folder == null) {
                return plain(written);
            }
            Path there = folder.resolve(here).normalize();
            if (there.toAbsolutePath().normalize().equals(here.toAbsolutePath().normalize())) {
                return plain(written);
            }
            boolean isHere = Files.exists(here);
            if (!Files.exists(there)) {
                return isHere
                        ? new Place(written, Optional.of(onlyHere(written, there)), Optional.empty())
                        : plain(written);
            }
            return isHere && !isSame(here, there)
                    ? new Place(there.toString(), Optional.empty(), Optional.of(twice(written, there)))
                    : plain(there.toString());
        } catch (InvalidPathException e) {
            return plain(written);
        }
    }

    private static String onlyHere(String written, Path there) {
        return "\"" + written + "\" is taken from the current directory, as there is no " + there
                + "; a path in a file starts at the file's folder";
    }

    private static String twice(String written, Path there) {
        return "\"" + written + "\" is found from the file's folder, as " + there
                + ", and from the current directory, and the two differ; write the one that is meant as an absolute"
                + " path";
    }

    private static boolean isSame(Path one, Path other) {
        try {
            return Files.isSameFile(one, other)
                    || (Files.isRegularFile(one) && Files.isRegularFile(other) && Files.mismatch(one, other) < 0);
        } catch (IOException e) {
            return false; // unreadable: whoever opens it says why
        }
    }

    /** Returns the path in a form that means the same everywhere; as it is if there is nothing. */
    static String absolute(String path) {
        try {
            return !path.isBlank() && Files.exists(Path.of(path))
                    ? Path.of(path).toAbsolutePath().normalize().toString()
                    : path;
        } catch (InvalidPathException e) {
            return path;
        }
    }
}
