package dev.ptq.stage;

import dev.ptq.artifact.LedgerColumn;
import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;

/**
 * What went otherwise than a config may lead one to expect: {@code ledger.csv} of a stage, and of a run. It is part of a
 * stage's artifact, so that a stage that is not made again keeps its rows. It is no part of a fingerprint whether an entry
 * is an error: {@code strict = true} also looks into the ledgers of finished stages.
 */
public final class Ledger {
    private static final Logger log = LoggerFactory.getLogger(Ledger.class);
    /** Entries that an error lists. */
    private static final int LISTED = 8;

    private final boolean strict;
    private final List<LedgerEntry> entries = new ArrayList<>();

    /**
     * An empty one.
     *
     * @param strict whether every entry is an error
     */
    public Ledger(boolean strict) {
        this.strict = strict;
    }

    /**
     * Adds entries, a line for each kind to the log.
     *
     * @param where the stage and the block
     * @throws IOException if entries are errors
     */
    void add(String where, Collection<LedgerEntry> some) throws IOException {
        require(where, strict, some);
        Map<LedgerEvent, List<LedgerEntry>> kinds = some.stream()
                .collect(Collectors.groupingBy(LedgerEntry::event, LinkedHashMap::new, Collectors.toList()));
        // what a format cuts off is the same in all blocks, so that one line at the end of the run is enough
        kinds.forEach((event, all) -> log.atLevel(event == LedgerEvent.SATURATED ? Level.DEBUG : Level.WARN)
                .log(
                        "{}: {}: {}, such as {}: {}",
                        where,
                        event.plural(),
                        all.size(),
                        all.get(0).place(),
                        all.get(0).note()));
        entries.addAll(some);
    }

    /** Adds entries that were added before, so that they are neither errors nor to be logged again. */
    public void take(Collection<LedgerEntry> some) {
        entries.addAll(some);
    }

    /** Writes the file into the folder of a stage or a run. */
    public void write(Path folder) throws IOException {
        Tables.write(
                folder.resolve(RunFiles.LEDGER),
                TableColumn.header(LedgerColumn.values()),
                entries.stream().map(LedgerEntry::cells).toList());
    }

    /** Returns the entries. */
    public List<LedgerEntry> entries() {
        return entries;
    }

    /**
     * Reads the file of a stage or a run.
     *
     * @return nothing where there is none, as of a stage that never has entries
     * @throws IOException naming the file if it is damaged
     */
    public static List<LedgerEntry> read(Path folder) throws IOException {
        Path file = folder.resolve(RunFiles.LEDGER);
        List<LedgerEntry> entries = new ArrayList<>();
        if (Files.exists(file)) {
            for (Map<String, String> row : Tables.read(file, TableColumn.header(LedgerColumn.values()))) {
                entries.add(LedgerEntry.of(List.copyOf(row.values()))
                        .orElseThrow(() -> new IOException(file + ": expected an event and an amount, got " + row)));
            }
        }
        return entries;
    }

    /** Makes sure that the finished stages that another one reads have no entries, if these are errors. */
    static void require(boolean strict, Map<String, Path> inputs) throws IOException {
        if (strict) {
            for (Map.Entry<String, Path> input : inputs.entrySet()) {
                require(input.getKey(), true, read(input.getValue()));
            }
        }
    }

    /**
     * Makes sure that there are no entries, if these are errors.
     *
     * @param where a stage, a block, or a file
     * @throws IOException with the first of them
     */
    public static void require(String where, boolean strict, Collection<LedgerEntry> entries) throws IOException {
        if (!strict || entries.isEmpty()) {
            return;
        }
        String listed = entries.stream()
                .limit(LISTED)
                .map(entry -> entry + "; " + entry.event().remedy())
                .collect(Collectors.joining(System.lineSeparator() + "  "));
        String more =
                entries.size() > LISTED ? System.lineSeparator() + "  and " + (entries.size() - LISTED) + " more" : "";
        throw new IOException(where + ": " + listed + more + " (strict = true)");
    }
}
