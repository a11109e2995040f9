package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class PaperTableTest {
    private final Locale before = Locale.getDefault();

    private static final ResultTable RUNS = new ResultTable(
            List.of(
                    new Column("run", Kind.ID),
                    new Column("approximation.l2qer.rank", Kind.SETTING),
                    new Column("damping", Kind.SETTING),
                    new Column("perplexity/tales_1", Kind.MEASURE),
                    new Column("arc/acc", Kind.MEASURE),
                    new Column("bits_per_weight", Kind.MEASURE),
                    new Column("error", Kind.REMARK)),
            List.of(
                    List.of("plain", "", "", new BigDecimal("5.0250"), 0.5, 4.5, ""),
                    List.of("[w4]|*x*_y", 8L, 0.00001, new BigDecimal("4.4484"), 0.625, 6.25, ""),
                    List.of("rank_16", 16L, 0.5, new BigDecimal("4.3909"), 0.625, 7.973, ""),
                    List.of("a\\b {50%} #1 $x$ ~^<&>", "", "", Double.POSITIVE_INFINITY, "", "", "50% lost\nor so")));

    private static final ResultTable GROUPS = new ResultTable(
            List.of(
                    new Column("rank", Kind.ID),
                    new Column("n", Kind.COUNT),
                    new Column("perplexity/a/mean", Kind.MEAN),
                    new Column("perplexity/a/std", Kind.SPREAD),
                    new Column("loss_recovered/a/mean", Kind.MEAN)),
            List.of(
                    List.of(8L, 3, 4.391, 0.0123, 0.7),
                    List.of(16L, 1, 4.25, "", -0.7),
                    List.of(32L, 2, 4.5, 1e-7, 0.6)));

    @BeforeEach
    void beSomewhereElse() {
        Locale.setDefault(Locale.GERMANY);
    }

    @AfterEach
    void beBack() {
        Locale.setDefault(before);
    }

    @Test
    void markdown() {
        assertThat(PaperTable.withBestBold(RUNS).markdown()).isEqualTo("""
                | run                           | approximation.l2qer.rank | damping | perplexity/tales_1 |  arc/acc | bits_per_weight | error          |
                | :---------------------------- | -----------------------: | ------: | -----------------: | -------: | --------------: | :------------- |
                | plain                         |                        – |       – |               5.02 |     0.50 |            4.50 |                |
                | \\[w4\\]\\|\\*x\\*\\_y              |                        8 |  1.0E-5 |               4.45 | **0.62** |            6.25 |                |
                | rank_16                       |                       16 |     0.5 |           **4.39** | **0.62** |            7.97 |                |
                | a\\\\b {50%} #1 \\$x\\$ \\~^\\<\\&\\> |                        – |       – |                inf |        – |               – | 50% lost or so |
                """);
    }

    @Test
    void latex() {
        assertThat(PaperTable.withBestBold(RUNS).latex()).isEqualTo("""
                % \\usepackage{booktabs}
                \\begin{tabular}{lrrrrrl}
                \\toprule
                run & approximation.l2qer.rank & damping & perplexity/tales\\_1 & arc/acc & bits\\_per\\_weight & error \\\\
                \\midrule
                plain & -- & -- & $5.02$ & $0.50$ & $4.50$ &  \\\\
                {[}w4]\\textbar{}{*}x{*}\\_y & $8$ & $1.0 \\times 10^{-5}$ & $4.45$ & $\\mathbf{0.62}$ & $6.25$ &  \\\\
                rank\\_16 & $16$ & $0.5$ & $\\mathbf{4.39}$ & $\\mathbf{0.62}$ & $7.97$ &  \\\\
                a\\textbackslash{}b \\{50\\%\\} \\#1 \\$x\\$ \\textasciitilde{}\\textasciicircum{}\\textless{}\\&\\textgreater{} & -- & -- & $\\infty$ & -- & -- & 50\\% lost or so \\\\
                \\bottomrule
                \\end{tabular}
                """);
    }

    @Test
    void aMeanAndItsSpreadShareACell() {
        assertThat(PaperTable.withBestBold(GROUPS).markdown()).isEqualTo("""
                | rank |  n |   perplexity/a | loss_recovered/a/mean |
                | ---: | -: | -------------: | --------------------: |
                |    8 |  3 |    4.39 ± 0.01 |              **0.70** |
                |   16 |  1 |       **4.25** |                 -0.70 |
                |   32 |  2 | 4.50 ± 1.00e-7 |                  0.60 |
                """);
        assertThat(PaperTable.withBestBold(GROUPS).latex())
                .contains(
                        "$8$ & $3$ & $4.39 \\pm 0.01$ & $\\mathbf{0.70}$ \\\\\n",
                        "$16$ & $1$ & $\\mathbf{4.25}$ & $-0.70$ \\\\\n",
                        "$4.50 \\pm 1.00 \\times 10^{-7}$");
    }

    @Test
    void nothingIsBoldUnlessAskedForOrWhereAllAreAlike() {
        ResultTable alike = new ResultTable(
                List.of(new Column("perplexity/a", Kind.MEASURE), new Column("seconds", Kind.MEASURE)),
                List.of(List.of(4.5, 1.5), List.of(4.5, 2.5)));

        assertThat(PaperTable.of(RUNS).markdown()).doesNotContain("**");
        assertThat(PaperTable.withBestBold(alike).markdown()).doesNotContain("**");
    }
}
