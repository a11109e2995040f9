package dev.ptq.calibrate;

/** The statistics of activations there are: each a file that accumulates it, and its lines here. */
public enum Statistic {
    MAX_BATCH_MEAN_ABS("max_batch_mean_abs");

    private final String label;

    Statistic(String label) {
        this.label = label;
    }

    /** The name in files. */
    public String label() {
        return label;
    }

    Accumulator start() {
        return switch (this) {
            case MAX_BATCH_MEAN_ABS -> new MaxBatchMeanAbs();
        };
    }
}
