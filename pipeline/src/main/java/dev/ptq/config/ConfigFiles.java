package dev.ptq.config;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A config as it is written: a file, and those that it extends. A file that says {@code extends = "base.toml"} has all
 * that the base has and it does not say otherwise: tables are merged, everything else, lists too, replaces.
 *
 * @param files the one that was named, then the one that it extends, and so on
 */
public record ConfigFiles(List<Content> files) {
    /** The key that names the file which is extended. */
    public static final String EXTENDS = "extends";

    /**
     * A file.
     *
     * @param path that messages name, and that paths in it are relative to
     * @param text its contents
     */
    public record Content(Path path, String text) {}

    public ConfigFiles {
        files = List.copyOf(files);
        if (files.isEmpty()) {
            throw new IllegalArgumentException("a config has at least one file");
        }
    }

    /**
     * Reads a file and those that it extends.
     *
     * @throws ConfigException if one of them is not TOML in UTF-8, extends a file that is not there, or extends itself
     * @throws IOException if one cannot be read
     */
    public static ConfigFiles read(Path file) throws IOException {
        List<Content> files = new ArrayList<>();
        Path next = file;
        while (next != null) {
            files.add(new Content(next, text(next)));
            next = base(files);
        }
        return new ConfigFiles(files);
    }

    /**
     * Reads a file that extends no other.
     *
     * @throws ConfigException if it is not text in UTF-8
     * @throws IOException if it cannot be read
     */
    public static ConfigFiles single(Path file) throws IOException {
        return new ConfigFiles(List.of(new Content(file, text(file))));
    }

    private static String text(Path file) throws IOException {
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw new ConfigException(file + ": expected text in UTF-8");
        }
    }

    /** Returns the file that the last one extends; null if it extends none. */
    private static @Nullable Path base(List<Content> files) throws IOException {
        Node value = table(files.get(files.size() - 1)).value().get(EXTENDS);
        if (value == null) {
            return null;
        }
        if (!(value.value() instanceof String written) || written.isBlank()) {
            throw problem(value, "expected the path of a config, got " + value.shown());
        }
        Place place = Place.of(written, value.position());
        if (place.problem().isPresent()) {
            throw problem(value, place.problem().get());
        }
        Path base = Path.of(place.path());
        if (!Files.isRegularFile(base)) {
            throw problem(value, "no such file: \"" + written + "\"; the path starts at this file's folder");
        }
        for (Content earlier : files) {
            if (Files.isSameFile(earlier.path(), base)) {
                String chain =
                        files.stream().map(each -> each.path().toString()).collect(Collectors.joining(" extends "));
                throw problem(value, "a file extends itself: " + chain + " extends " + base);
            }
        }
        return base;
    }

    private static ConfigException problem(Node value, String message) {
        Problems problems = new Problems();
        problems.add(value.position(), EXTENDS, message);
        return new ConfigException(problems.messages());
    }

    private static Node.Table table(Content file) {
        String toml = file.text();
        return Node.parse(
                toml.startsWith("\ufeff") ? toml.substring(1) : toml,
                file.path().toString());
    }

    /** Returns the file that was named. */
    public Path path() {
        return files.get(0).path();
    }

    /** Returns the text of the file that was named. */
    public String text() {
        return files.get(0).text();
    }

    /** Returns what all files together say, values with the place where they are written. */
    Node.Table document() {
        Node.Table merged = table(files.get(files.size() - 1));
        for (int i = files.size() - 2; i >= 0; i--) {
            Node.Table above = table(files.get(i));
            above.value().remove(EXTENDS);
            merged = merged(merged, above);
        }
        return merged;
    }

    private static Node.Table merged(Node.Table base, Node.Table above) {
        Map<String, Node> all = new LinkedHashMap<>(base.value());
        above.value()
                .forEach((key, value) -> all.put(
                        key,
                        all.get(key) instanceof Node.Table lower && value instanceof Node.Table upper
                                ? merged(lower, upper)
                                : value));
        return new Node.Table(all, above.position());
    }
}
