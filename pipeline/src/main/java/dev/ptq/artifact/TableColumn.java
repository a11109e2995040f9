package dev.ptq.artifact;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** A column of one of a run's CSV files: one enum per file, with the columns in order. */
public sealed interface TableColumn
        permits AllocationColumn,
                ApproximatedColumn,
                QuantizedColumn,
                RotationColumn,
                FoldColumn,
                LedgerColumn,
                ChunkColumn,
                CostColumn,
                DivergenceColumn,
                ExpertColumn,
                PerturbationColumn,
                SensitivityColumn,
                TruthColumn,
                RankCorrelationColumn {
    /** The name of the constant. */
    String name();

    /** The name in the header. */
    default String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Returns the header of a file with these columns. */
    static List<String> header(TableColumn... columns) {
        return Arrays.stream(columns).map(TableColumn::label).toList();
    }
}
