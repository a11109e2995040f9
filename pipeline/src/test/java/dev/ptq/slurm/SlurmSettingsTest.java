package dev.ptq.slurm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.ptq.config.ConfigException;
import java.util.List;
import org.junit.jupiter.api.Test;

class SlurmSettingsTest {
    @Test
    void everythingMayBeLeftOut() {
        SlurmSettings settings = SlurmSettings.parse("", "l.toml");

        assertThat(settings.cpus("points")).isEqualTo(1);
        assertThat(settings.parallel()).isEmpty();
        assertThat(settings.requeues()).isEqualTo(3);
        assertThat(settings.nodeLocal()).contains("/tmp", "tmpfs");
        assertThat(settings.request("points").options()).isEmpty();
    }

    @Test
    void aKindHasItsOwnValuesBeforeThoseOfAll() {
        SlurmSettings settings = SlurmSettings.parse("""
                [slurm]
                partition = "cpu"
                time = "4:00:00"
                cpus = 8
                mem = "32G"
                [slurm.shared]
                mem = "64G"
                cpus = 16
                """, "l.toml");

        assertThat(settings.request("shared").options())
                .containsExactly("--partition=cpu", "--time=4:00:00", "--mem=64G");
        assertThat(settings.request("points").options())
                .containsExactly("--partition=cpu", "--time=4:00:00", "--mem=32G");
        assertThat(List.of("shared", "shared-2", "baselines", "blocks", "points"))
                .map(settings::cpus)
                .containsExactly(16, 16, 16, 8, 8);
    }

    @Test
    void allProblemsAreReportedAtOnceWithTheirPositions() {
        ConfigException problems =
                catchThrowableOfType(ConfigException.class, () -> SlurmSettings.parse("""
                [slurm]
                partition = "cpu\\nrm -rf /"
                time = "4hours"
                cpus = 0
                mem = "32GB"
                additional = ["-p", "--array=0-9", "--mail-type=FAIL"]
                setup = ["a\\nb"]
                partitions = "x"
                poll_seconds = 0
                [slurm.point]
                mem = "1G"
                """, "l.toml"));

        assertThat(problems.problems())
                .hasSize(10)
                .allMatch(line -> line.startsWith("l.toml:"))
                .anyMatch(line -> line.startsWith("l.toml:2:") && line.contains("expected a word"))
                .anyMatch(line -> line.startsWith("l.toml:3:") && line.contains("H:MM:SS"))
                .anyMatch(line -> line.startsWith("l.toml:4:") && line.contains("cpus"))
                .anyMatch(line -> line.startsWith("l.toml:5:") && line.contains("K, M, G or T"))
                .anyMatch(line -> line.startsWith("l.toml:6:") && line.contains("long form"))
                .anyMatch(line -> line.startsWith("l.toml:6:") && line.contains("set by the launcher"))
                .anyMatch(line -> line.startsWith("l.toml:7:") && line.contains("one line each"))
                .anyMatch(line -> line.startsWith("l.toml:8:") && line.contains("partition"))
                .anyMatch(line -> line.startsWith("l.toml:9:"))
                .anyMatch(line -> line.startsWith("l.toml:10:") && line.contains("points"));
    }
}
