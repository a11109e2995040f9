package dev.ptq.allocate;

import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * What a linear may be given.
 *
 * @param text as it was given
 * @param weight format of the weight
 * @param rank of a correction beside it; 0 for none
 * @param method of the correction; absent: that of the run, or else {@link #METHOD_OF_OTHERS}
 */
public record Choice(String text, NumberFormat weight, int rank, Optional<String> method) {
    /** The correction of runs that have none. */
    static final String METHOD_OF_OTHERS = "qera_exact";

    private static final Key<ConfigTable> WEIGHT =
            Key.table("weight", Formats.SECTION).says("format of the weight");

    private static final Key<Integer> RANK =
            Key.integer("rank").from(0).to(1 << 16).preset(0).says("rank of a low-rank correction; 0 for none");

    private static final Key<Optional<String>> METHOD =
            Key.text("method").optional("that of the run, else `qera_exact`").says("low-rank method of the correction");

    private static final Key<ConfigTable> CHOICE =
            Key.table("choice", Section.of("choice", WEIGHT, RANK, METHOD)).says("a choice");

    private static final Section SECTION = Section.of("--choice", CHOICE);

    /**
     * Reads a choice.
     *
     * @param text a table as in TOML
     * @param number counted from 1, for messages
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    public static Choice parse(String text, int number) {
        ConfigTable root = ConfigTable.parse("choice = " + text, "--choice " + number, List.of(), SECTION);
        ConfigTable table = root.read(CHOICE);
        Choice choice = new Choice(
                text.strip(),
                Formats.read(table.read(WEIGHT), Formats.Use.WEIGHT),
                table.read(RANK),
                table.read(METHOD));
        if (choice.rank == 0 && choice.method.isPresent()) {
            table.problem(METHOD, "a correction of rank 0 is none; give it a rank, or leave out the method");
        }
        root.finish();
        return choice;
    }

    /** A short name for tables. */
    String label() {
        return Formats.written(weight) + (rank == 0 ? "" : String.format(Locale.ROOT, ", rank %d", rank));
    }
}
