package dev.ptq.slurm;

import dev.ptq.config.ReferenceFile;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import org.junit.jupiter.api.Test;

class SlurmReferenceTest {
    @Test
    void theReferenceOfLauncherSettingsHasAllKeys() throws IOException {
        ReferenceFile.check(Shared.root().resolve("docs/cluster.md"), SlurmSettings.SECTION);
    }
}
