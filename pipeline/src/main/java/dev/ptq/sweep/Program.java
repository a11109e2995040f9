package dev.ptq.sweep;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A program that can be started again.
 *
 * @param java the command, and its options
 * @param classPath jars and folders
 * @param mainClass what is started
 */
public record Program(List<String> java, List<Path> classPath, String mainClass) {
    private static final int DIGITS = 16;
    private static final int BUFFER = 1 << 16;

    public Program {
        java = List.copyOf(java);
        classPath = List.copyOf(classPath);
    }

    /** Returns the command line up to the first argument. */
    public List<String> command() {
        List<String> command = new ArrayList<>(java);
        command.add("-cp");
        command.add(classPath.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator)));
        command.add(mainClass);
        return command;
    }

    /** Returns the program with a command for Java, unless it is empty, and further options. */
    Program with(String command, List<String> options) {
        List<String> line = new ArrayList<>(java);
        if (!command.isEmpty()) {
            line.set(0, command);
        }
        line.addAll(options);
        return new Program(line, classPath, mainClass);
    }

    /**
     * Copies the class path into a folder, so that nobody changes it while tasks wait. What is there with the same
     * contents is not copied again.
     */
    Program copiedTo(Path folder) throws IOException {
        List<Path> copies = new ArrayList<>();
        for (Path entry : classPath) {
            if (Files.exists(entry)) { // Java skips the others too
                Path copy = folder.resolve(digest(entry)).resolve(entry.getFileName());
                if (!Files.exists(copy)) {
                    copy(entry, copy);
                }
                copies.add(copy);
            }
        }
        return new Program(java, copies, mainClass);
    }

    private static void copy(Path entry, Path copy) throws IOException {
        Path partial = copy.resolveSibling(copy.getFileName() + ".partial-" + UUID.randomUUID());
        Files.createDirectories(copy.resolveSibling(""));
        for (Path file : below(entry)) {
            Path target = partial.resolve(entry.relativize(file).toString());
            if (Files.isDirectory(file)) {
                Files.createDirectories(target);
            } else {
                Files.copy(file, target);
            }
        }
        if (!Files.exists(copy, LinkOption.NOFOLLOW_LINKS)) {
            Files.move(partial, copy, StandardCopyOption.ATOMIC_MOVE);
        }
    }

    private static List<Path> below(Path entry) throws IOException {
        try (Stream<Path> files = Files.walk(entry)) {
            return files.sorted().toList();
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static String digest(Path entry) throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
        byte[] buffer = new byte[BUFFER];
        for (Path file : below(entry)) {
            digest.update(entry.relativize(file).toString().getBytes(StandardCharsets.UTF_8));
            if (Files.isRegularFile(file)) {
                try (InputStream in = Files.newInputStream(file)) {
                    for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                        digest.update(buffer, 0, read);
                    }
                }
            }
        }
        return HexFormat.of().formatHex(digest.digest()).substring(0, DIGITS);
    }
}
