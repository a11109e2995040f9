package dev.ptq.artifact;

/** The columns of {@code ledger.csv}: one row per event and place. */
public enum LedgerColumn implements TableColumn {
    /** The {@link LedgerEvent}. */
    EVENT,
    /** The method or stage to which it happened. */
    SOURCE,
    /** The linear, the block, the block and its mapping, or the expert. */
    PLACE,
    /** How many, or how much, see {@link LedgerEvent}. */
    AMOUNT,
    /** What happened, in words. */
    NOTE
}
