package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestTest {
    @TempDir
    Path directory;

    @Test
    void leavesOutWhatTheSystemDoesNotTell() throws IOException {
        Manifest manifest = new Manifest(
                "0123",
                new Provenance("1", "abc", 2, Map.of()),
                new Machine("jvm", "os", Optional.empty(), 2, 1024),
                Instant.EPOCH,
                Instant.EPOCH.plusMillis(1500),
                OptionalLong.empty(),
                Map.of("calibrate", new Manifest.StageEntry("4567", 1, 1.5, false, Instant.EPOCH)));

        manifest.write(directory);

        assertThat(Manifest.read(directory)).isEqualTo(manifest);
        assertThat(Files.readString(directory.resolve("manifest.json")))
                .doesNotContain("peak", "cpu")
                .contains("\"started\" : \"1970-01-01T00:00:00Z\"", "\"ended\" : \"1970-01-01T00:00:01.500Z\"");
    }

    @Test
    void isReadFromASmallPlainFileOnly() throws IOException {
        Path file = directory.resolve("manifest.json");
        assertThatIOException().isThrownBy(() -> Manifest.read(directory)).withMessage(file + ": missing");
        Path elsewhere = Files.writeString(directory.resolve("elsewhere"), "{}");
        Files.createSymbolicLink(file, elsewhere);
        assertThatIOException()
                .isThrownBy(() -> Manifest.read(directory))
                .withMessage(file + ": expected a plain file");
        Files.delete(file);
        Files.writeString(file, " ".repeat((16 << 20) + 1));
        assertThatIOException()
                .isThrownBy(() -> Manifest.read(directory))
                .withMessage(file + ": expected at most 16 MiB, found 16 MiB or more");
    }

    @Test
    void namesTheFileThatCannotBeRead() throws IOException {
        Path file = Files.writeString(directory.resolve("manifest.json"), "{");

        assertThatIOException().isThrownBy(() -> Manifest.read(directory)).withMessageStartingWith(file + ": ");
    }
}
