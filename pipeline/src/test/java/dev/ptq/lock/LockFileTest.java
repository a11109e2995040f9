package dev.ptq.lock;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class LockFileTest {
    /** What Linux says for ENOLCK and ENOSYS names neither the file nor a remedy. */
    @Test
    void aFileSystemWithoutLocksIsNamedWithARemedy() {
        Path file = Path.of("results/.cache/run+a.lock");
        for (String reason : new String[] {"No locks available", "Function not implemented"}) {
            assertThat(LockFile.refused(file, new IOException(reason)))
                    .hasMessageStartingWith("results/.cache/run+a.lock: cannot be locked (" + reason + ")")
                    .hasMessageContaining("Lustre mount it with flock")
                    .hasMessageContaining("NFS with lockd and without nolock");
        }
    }
}
