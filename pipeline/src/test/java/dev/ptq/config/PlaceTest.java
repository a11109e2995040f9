package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlaceTest {
    /** A name that the current directory of a test, the module's folder, does not have. */
    private static final String NAME = "place-test-" + ProcessHandle.current().pid() + ".txt";

    @TempDir
    Path folder;

    private Position inFile;

    @BeforeEach
    void prepare() {
        inFile = new Position(folder.resolve("config.toml").toString(), 2, 1);
    }

    @AfterEach
    void clean() throws IOException {
        Files.deleteIfExists(Path.of(NAME));
    }

    @Test
    void aPathInAFileStartsAtTheFilesFolder() throws IOException {
        Files.createDirectories(folder.resolve("data"));
        Files.writeString(folder.resolve("data/a.txt"), "a");

        assertThat(Place.of("sub/../data/a.txt", inFile))
                .isEqualTo(new Place(folder.resolve("data/a.txt").toString(), Optional.empty(), Optional.empty()));
        assertThat(Place.of("data/a.txt", Position.ofOverride("x=data/a.txt")).path())
                .isEqualTo("data/a.txt");
    }

    @Test
    void onlyFromTheCurrentDirectoryItIsTakenWithAWarning() throws IOException {
        Files.writeString(Path.of(NAME), "here");

        Place place = Place.of(NAME, inFile);

        assertThat(place.path()).isEqualTo(NAME);
        assertThat(place.problem()).isEmpty();
        assertThat(place.warning().orElseThrow())
                .isEqualTo("\"" + NAME + "\" is taken from the current directory, as there is no "
                        + folder.resolve(NAME) + "; a path in a file starts at the file's folder");
    }

    @Test
    void inBothPlacesTheContentsDecide() throws IOException {
        Files.writeString(Path.of(NAME), "same");
        Files.writeString(folder.resolve(NAME), "same");
        assertThat(Place.of(NAME, inFile).problem()).isEmpty();

        Files.writeString(folder.resolve(NAME), "other");
        assertThat(Place.of(NAME, inFile).problem().orElseThrow())
                .isEqualTo("\"" + NAME + "\" is found from the file's folder, as " + folder.resolve(NAME)
                        + ", and from the current directory, and the two differ; write the one that is meant as an"
                        + " absolute path");
        assertThat(Place.of(NAME, inFile).warning()).isEmpty();
    }

    @Test
    void namesAndOddTextsStayAsTheyAre() {
        for (String name : List.of("", " ", "europarl", "owner/name", "a\0b", "/no/such/place")) {
            assertThat(Place.of(name, inFile).path()).isEqualTo(name);
            assertThat(Place.of(name, inFile).warning()).isEmpty();
            assertThat(Place.absolute(name)).isEqualTo(name);
        }
    }
}
