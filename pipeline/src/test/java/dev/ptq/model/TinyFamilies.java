package dev.ptq.model;

import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Stream;

/** Tiny random models of many families, with what the transformers library makes of them. */
public final class TinyFamilies {
    private TinyFamilies() {}

    /** Their folders: all of them where they are at hand, else those among the resources. */
    public static List<Path> folders() throws IOException {
        Optional<Path> all = Shared.find("golden/families");
        if (all.isEmpty()) {
            return few();
        }
        try (Stream<Path> folders = Files.list(all.get())) {
            return folders.filter(Files::isDirectory).sorted().toList();
        }
    }

    /** A few of them, which differ in most parts. */
    public static List<Path> few() throws IOException {
        Path parent = resources();
        try (Stream<Path> folders = Files.list(parent)) {
            return folders.sorted().toList();
        }
    }

    private static Path resources() {
        try {
            return Path.of(Objects.requireNonNull(TinyFamilies.class.getResource("/golden/families"))
                    .toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
