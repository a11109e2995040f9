package dev.ptq.sweep;

import dev.ptq.config.ReferenceFile;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class SweepReferenceTest {
    @Test
    void theReferenceOfSweepFilesHasAllKeys() throws IOException {
        ReferenceFile.check(Shared.root().resolve("sweeps/README.md"), SweepFile.SECTION);
    }
}
