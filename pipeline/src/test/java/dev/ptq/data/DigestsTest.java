package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DigestsTest {
    private static final String OF_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
    private static final String OF_B = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d";

    @TempDir
    Path folder;

    /** Neither the size nor the time that a program may set tells that it changed. */
    @Test
    void aFileThatChangesIsReadAgain() throws Exception {
        Path file = Files.writeString(folder.resolve("a"), "a");
        FileTime old = FileTime.from(Instant.parse("2020-01-01T00:00:00Z"));
        Files.setLastModifiedTime(file, old);
        Thread.sleep(3200); // long enough to be remembered
        assertThat(Digests.of(file)).isEqualTo(OF_A);
        assertThat(Digests.of(file)).isEqualTo(OF_A);

        Files.writeString(file, "b");
        Files.setLastModifiedTime(file, old);
        assertThat(Digests.of(file)).isEqualTo(OF_B);
        Files.writeString(file, "a");
        assertThat(Digests.of(file)).isEqualTo(OF_A);
    }
}
