package dev.ptq.artifact;

/** The columns of {@code correlations.csv}: how well scores of linears agree with the truth, one row per score. */
public enum RankCorrelationColumn implements TableColumn {
    /** The column of {@link SensitivityColumn}. */
    SCORE,
    /** Spearman's rank correlation with the truth, over all linears. */
    SPEARMAN,
    /** Linears that it is taken over. */
    LINEARS
}
