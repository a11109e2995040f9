package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigFilesTest {
    @TempDir
    Path folder;

    @BeforeEach
    void prepare() throws IOException {
        Files.createDirectories(folder.resolve("bases"));
    }

    private Path write(String name, String toml) throws IOException {
        return Files.writeString(folder.resolve(name), toml);
    }

    private static Object plain(ConfigFiles files) {
        return Objects.requireNonNull(Node.plain(files.document().value()));
    }

    @Test
    void tablesAreMergedAndAllElseIsReplaced() throws IOException {
        write(
                "bases/plain.toml",
                "seed = 1\nlist = [1, 2, 3]\n[a]\nb = 1\nc = 2\n[a.d]\ne = 3\n[[steps]]\nmethod = \"x\"");
        write("bases/middle.toml", "extends = \"plain.toml\"\n[a]\nc = 20");
        Path top =
                write("top.toml", "extends = \"bases/middle.toml\"\nlist = [4]\nsteps = []\n[a.d]\nf = 5\n[g]\nh = 6");

        ConfigFiles files = ConfigFiles.read(top);

        assertThat(plain(files))
                .isEqualTo(Map.of(
                        "seed", 1L,
                        "list", List.of(4L),
                        "a", Map.of("b", 1L, "c", 20L, "d", Map.of("e", 3L, "f", 5L)),
                        "steps", List.of(),
                        "g", Map.of("h", 6L)));
        assertThat(files.files().stream().map(file -> folder.relativize(file.path())))
                .containsExactly(Path.of("top.toml"), Path.of("bases/middle.toml"), Path.of("bases/plain.toml"));
        assertThat(files.path()).isEqualTo(top);
        assertThat(files.text()).startsWith("extends");
    }

    @Test
    void aValueIsReportedInTheFileThatHasIt() throws IOException {
        write("bases/plain.toml", "a = 1\nb = 2");
        Path top = write("top.toml", "extends = \"bases/plain.toml\"\n\nb = 3");

        Node.Table document = ConfigFiles.read(top).document();

        assertThat(Objects.requireNonNull(document.value().get("a")).position())
                .hasToString(folder.resolve("bases/plain.toml") + ":1:1");
        assertThat(Objects.requireNonNull(document.value().get("b")).position()).hasToString(top + ":3:1");
    }

    @Test
    void aCycleIsAnErrorThatNamesIt() throws IOException {
        Path top = write("top.toml", "extends = \"bases/a.toml\"");
        Path a = write("bases/a.toml", "extends = \"b.toml\"");
        Path b = write("bases/b.toml", "seed = 1\nextends = \"../top.toml\"");

        assertThatThrownBy(() -> ConfigFiles.read(top))
                .isInstanceOf(ConfigException.class)
                .hasMessage(b + ":2:1: extends: a file extends itself: " + top + " extends " + a + " extends " + b
                        + " extends " + folder.resolve("top.toml"));
        Path self = write("self.toml", "extends = \"self.toml\"");
        assertThatThrownBy(() -> ConfigFiles.read(self)).hasMessageContaining("a file extends itself: " + self);
    }

    @Test
    void whatCannotBeExtendedIsNamed() throws IOException {
        Path absent = write("top.toml", "extends = \"absent.toml\"");
        assertThatThrownBy(() -> ConfigFiles.read(absent))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        absent + ":1:1: extends: no such file: \"absent.toml\"; the path starts at this file's folder");
        for (String value : List.of("3", "[\"a.toml\"]", "\"\"")) {
            Path odd = write("odd.toml", "extends = " + value);
            assertThatThrownBy(() -> ConfigFiles.read(odd))
                    .hasMessage(odd + ":1:1: extends: expected the path of a config, got " + value);
        }
        Path damaged = write("damaged.toml", "extends = \"bases/bad.toml\"");
        write("bases/bad.toml", "a = ");
        assertThatThrownBy(() -> ConfigFiles.read(damaged))
                .hasMessageStartingWith(folder.resolve("bases/bad.toml") + ":1:5: ");
    }
}
