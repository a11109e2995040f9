package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigTable;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** Settings for tests, written as a config has them, and the documents that the tests carry. */
final class TestSettings {
    private TestSettings() {}

    /** A folder with a few made-up documents for every task. */
    static Path data() {
        try {
            URL folder = Objects.requireNonNull(TestSettings.class.getResource("data"));
            return Path.of(folder.toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Reads settings.
     *
     * @param toml the table without {@code data}
     */
    static TasksSettings of(String toml) {
        ConfigTable table =
                ConfigTable.parse(toml + "\ndata = '" + data() + "'", "x", List.of(), TasksSettings.SECTION);
        TasksSettings settings = TasksSettings.read(table);
        table.finish();
        return settings;
    }
}
