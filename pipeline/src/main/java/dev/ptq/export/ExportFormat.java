package dev.ptq.export;

import dev.ptq.layout.Packer;
import java.util.Optional;

/** The layouts of exported weights. */
public enum ExportFormat {
    /** Rounded values as floating point numbers: every program reads them. */
    FLOAT("float");

    private final String label;

    ExportFormat(String label) {
        this.label = label;
    }

    /** The name on the command line. */
    @Override
    public String toString() {
        return label;
    }

    /** Packs weights; empty if they stay floating point numbers. */
    Optional<Packer> packer() {
        return Optional.empty();
    }
}
