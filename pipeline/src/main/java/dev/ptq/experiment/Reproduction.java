package dev.ptq.experiment;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * A published number, the experiment that should give it, and how near it must come.
 *
 * @param name of the row, in commands
 * @param paper where it was published
 * @param table in it
 * @param row in that
 * @param config the experiment file
 * @param overrides {@code key=value} that make it this row
 * @param protocol how the text is scored, in words
 * @param metric the name in {@code metrics.json}
 * @param expected the published value
 * @param tolerance the largest distance that counts as reached, in the unit of the metric
 * @param here what this program gave; absent if it was not run
 * @param model how the model is had
 * @param traps what is known to go wrong, a sentence each
 */
public record Reproduction(
        String name,
        String paper,
        String table,
        String row,
        Path config,
        List<String> overrides,
        String protocol,
        String metric,
        double expected,
        double tolerance,
        Optional<Double> here,
        String model,
        List<String> traps) {
    /** The folder of the files, in the folder of configs. */
    public static final String FOLDER = "reproductions";

    private static final Key<String> ROW = Key.text("row").says("the row and column of the table");
    private static final Key<List<String>> SET =
            Key.strings("set").preset(List.of()).says("keys of the config with their values, as for `--set`");
    private static final Key<Double> EXPECTED = Key.decimal("expected").says("the published value");
    private static final Key<Double> TOLERANCE =
            Key.decimal("tolerance").from(0.0).says("the largest distance that counts as reached");
    private static final Key<Optional<Double>> HERE =
            Key.decimal("here").optional("not run").says("what this program gave");
    private static final Key<List<String>> TRAPS =
            Key.strings("traps").preset(List.of()).says("what is known to go wrong, a sentence each");

    private static final Section ROWS = Section.of("rows", ROW, SET, EXPECTED, TOLERANCE, HERE, TRAPS);

    private static final Key<String> PAPER = Key.text("paper").says("where the numbers were published");
    private static final Key<String> TABLE = Key.text("table").says("which of its tables");
    private static final Key<String> CONFIG =
            Key.text("config").says("the experiment file that rows change, relative to this file");
    private static final Key<String> PROTOCOL = Key.text("protocol").says("how the text is scored, in words");
    private static final Key<String> METRIC = Key.text("metric").says("the name of the number in `metrics.json`");
    private static final Key<String> MODEL = Key.text("model").says("how the model is had");
    private static final Key<ConfigTable> ROWS_BY_NAME = Key.table(
                    "rows", Section.ofNames("rows", Key.table("NAME", ROWS).says("a number of the table")))
            .says("the rows, by the names that commands take");

    /** The keys of a file. */
    static final Section SECTION =
            Section.of("reproduction", PAPER, TABLE, CONFIG, PROTOCOL, METRIC, MODEL, TRAPS, ROWS_BY_NAME);

    public Reproduction {
        overrides = List.copyOf(overrides);
        traps = List.copyOf(traps);
    }

    /**
     * Reads all files of a folder.
     *
     * @return by name, in alphabetical order
     * @throws ConfigException with the problems of the first file that has some, or if two rows have one name
     * @throws IOException if there is no such folder
     */
    public static Map<String, Reproduction> readAll(Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> entries = Files.list(folder)) {
            files = entries.filter(file -> file.toString().endsWith(".toml"))
                    .sorted()
                    .toList();
        }
        Map<String, Reproduction> all = new TreeMap<>();
        for (Path file : files) {
            for (Reproduction reproduction : read(file)) {
                if (all.put(reproduction.name(), reproduction) != null) {
                    throw new ConfigException(
                            file + ": rows." + reproduction.name() + ": another file of " + folder + " has this name");
                }
            }
        }
        return all;
    }

    /** Reads the rows of a file. */
    static List<Reproduction> read(Path file) throws IOException {
        ConfigTable root = ConfigTable.read(file, List.of(), SECTION);
        String paper = root.read(PAPER);
        String table = root.read(TABLE);
        Path config = file.resolveSibling(root.read(CONFIG)).normalize();
        String protocol = root.read(PROTOCOL);
        String metric = root.read(METRIC);
        String model = root.read(MODEL);
        List<String> traps = root.read(TRAPS);
        ConfigTable rows = root.read(ROWS_BY_NAME);
        List<Reproduction> all = new ArrayList<>();
        for (String name : rows.keys()) {
            ConfigTable row = rows.read(Key.table(name, ROWS).says("a number of the table"));
            List<String> allTraps = new ArrayList<>(traps);
            allTraps.addAll(row.read(TRAPS));
            all.add(new Reproduction(
                    name,
                    paper,
                    table,
                    row.read(ROW),
                    config,
                    row.read(SET),
                    protocol,
                    metric,
                    row.read(EXPECTED),
                    row.read(TOLERANCE),
                    row.read(HERE),
                    model,
                    allTraps));
        }
        root.finish();
        return all;
    }

    /** Returns whether a measured value is as near as it must be. */
    public boolean reachedBy(double value) {
        return Math.abs(value - expected) <= tolerance;
    }
}
