package dev.ptq.tensor;

import dev.ptq.weights.Safetensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.StreamSupport;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Reference data for tests: a part that the tests carry, and all of it where it lies beside the checkout. */
public final class Shared {
    private Shared() {}

    /** The root of the checkout. */
    public static Path root() {
        return Path.of(System.getProperty("project.root", ".."))
                .toAbsolutePath()
                .normalize();
    }

    /** A file or folder beside the checkout, where there is one. */
    public static Optional<Path> find(String name) {
        Path path = root().resolveSibling("shared").resolve(name);
        return Files.exists(path) ? Optional.of(path) : Optional.empty();
    }

    /** A reference file: the whole one where it is, else the part in the test resources. */
    public static Path golden(String name) {
        return find("golden/" + name)
                .orElseGet(() ->
                        root().resolve("pipeline/src/test/resources/golden").resolve(name));
    }

    /** The case list in a reference file's header. */
    public static List<JsonNode> cases(Path file) throws IOException {
        try (Safetensors tensors = Safetensors.open(file)) {
            JsonNode cases = JsonMapper.shared().readTree(tensors.metadata().get("cases"));
            return StreamSupport.stream(cases.spliterator(), false).toList();
        }
    }
}
