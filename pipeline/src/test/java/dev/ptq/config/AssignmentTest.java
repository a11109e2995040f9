package dev.ptq.config;

import static dev.ptq.config.DeclaredKeys.integer;
import static dev.ptq.config.DeclaredKeys.readAll;
import static dev.ptq.config.DeclaredKeys.table;
import static dev.ptq.config.DeclaredKeys.values;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AssignmentTest {
    private static final Position PLACE = new Position("sweep.toml", 4, 2);

    private static Assignment set(Object value, String... path) {
        return new Assignment(List.of(path), value, PLACE);
    }

    @Test
    void isWhatTheCommandLineTakes() {
        assertThat(set(3L, "quantization", "weight", "bits")).hasToString("quantization.weight.bits=3");
        assertThat(set("a=b", "x y", "0")).hasToString("\"x y\".0=\"a=b\"");
        assertThat(set(List.of(Map.of("rank", 8L)), "approximation")).hasToString("approximation=[{ rank = 8 }]");
        assertThatIllegalArgumentException().isThrownBy(() -> set(1L));
    }

    @Test
    void keysHaveParts() {
        assertThat(Assignment.path(" a . 'b.c' ")).contains(List.of("a", "b.c"));
        assertThat(Assignment.path("a..b")).isEmpty();
        assertThat(Assignment.path("")).isEmpty();
        assertThat(Assignment.pathOf("a.'b=c'=d=e")).contains(List.of("a", "b=c"));
        assertThat(Assignment.pathOf("a")).isEmpty();
    }

    @Test
    void changesAConfigAfterTheOverrides(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("base.toml"), "seed = 1\n\n\n\nbits = 3");
        Key<?>[] keys = {integer("seed", 0, 9), integer("bits", 0, 9), table("a", values("b"))};
        ConfigTable config = ConfigTable.read(
                file,
                List.of("seed=2", "bits=4"),
                List.of(set(List.of("x", -1.5), "a", "b"), set(5L, "seed")),
                Section.of("file", keys));

        assertThat(readAll(config, keys)).containsExactly(5, 4, List.of("x", -1.5));
        config.finish();
    }

    @Test
    void itsProblemsAreWhereItIsWritten(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("base.toml"), "seed = 1\n\n\n\nbits = 99");
        Key<?>[] keys = {integer("seed", 0, 9), integer("bits", 0, 9)};
        ConfigTable config = ConfigTable.read(
                file, List.of("x=1"), List.of(set(50L, "seed"), set(1L, "bits", "y")), Section.of("file", keys));
        assertThat(readAll(config, keys)).containsExactly(0, 0);

        assertThatThrownBy(config::finish)
                .hasMessage(file + ":5:1: bits: expected a whole number from 0 to 9, got 99\n"
                        + "sweep.toml:4:2: bits: expected a table, got 99\n"
                        + "sweep.toml:4:2: seed: expected a whole number from 0 to 9, got 50\n"
                        + "--set x=1: x: unknown key; expected one of [seed, bits]");
    }
}
