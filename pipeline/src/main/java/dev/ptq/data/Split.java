package dev.ptq.data;

import java.util.Locale;

/** A part of a corpus. Splits share no documents. */
public enum Split {
    TRAIN,
    VALIDATION,
    TEST;

    /** The word in configs. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }
}
