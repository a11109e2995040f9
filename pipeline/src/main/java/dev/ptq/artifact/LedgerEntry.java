package dev.ptq.artifact;

import java.util.List;
import java.util.Optional;

/**
 * A row of {@code ledger.csv}.
 *
 * @param source the method or stage to which it happened
 * @param place the linear, the block, the block and its mapping, or the expert
 * @param amount how many, or how much, see {@link LedgerEvent}
 * @param note what happened, in words
 */
public record LedgerEntry(LedgerEvent event, String source, String place, double amount, String note) {
    /** Returns the cells, in the order of {@link LedgerColumn}. */
    public List<Object> cells() {
        return List.of(event.label(), source, place, amount, note);
    }

    /** Returns the entry with the {@link #cells} of a file; empty if they are none. */
    public static Optional<LedgerEntry> of(List<String> cells) {
        if (cells.size() != LedgerColumn.values().length) {
            return Optional.empty();
        }
        try {
            double amount = Double.parseDouble(cells.get(3));
            return LedgerEvent.labelled(cells.get(0))
                    .map(event -> new LedgerEntry(event, cells.get(1), cells.get(2), amount, cells.get(4)));
        } catch (NumberFormatException e) {
            return Optional.empty();
        }
    }

    @Override
    public String toString() {
        return place + ": " + source + ": " + note;
    }
}
