package dev.ptq.cli;

import dev.ptq.evaluate.PairedBootstrap;
import dev.ptq.experiment.Comparison;
import dev.ptq.report.TextTable;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq compare RUN_A RUN_B}. */
@Command(
        name = "compare",
        mixinStandardHelpOptions = true,
        description = "Compares two runs on the same chunks and documents: differences of RUN_B over RUN_A with 95 %%"
                + " intervals, how likely such a difference is by chance, and the documents that flip.")
final class CompareCommand implements Callable<Integer> {
    private static final int SHOWN_FLIPS = 10;

    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "RUN_A", description = "the directory of a run, or its tag")
    Path first;

    @Parameters(index = "1", paramLabel = "RUN_B", description = "likewise")
    Path second;

    @Mixin
    ResultsOption results;

    @Option(names = "--all-flips", description = "list all documents that flip, not only the first " + SHOWN_FLIPS)
    boolean allFlips;

    @Override
    public Integer call() throws IOException {
        Comparison comparison =
                Comparison.of(RunDirectory.of(first, results.folder), RunDirectory.of(second, results.folder));
        PrintWriter out = spec.commandLine().getOut();
        List<String[]> losses = losses(comparison);
        List<String[]> accuracies = accuracies(comparison);
        if (losses.size() > 1) {
            out.print(TextTable.render(losses, Set.of(0)));
            out.println("loss in nats per token; intervals and p: paired bootstrap over chunks");
        }
        if (accuracies.size() > 1) {
            out.print((losses.size() > 1 ? System.lineSeparator() : "") + TextTable.render(accuracies, Set.of(0, 1)));
            out.println("intervals: paired bootstrap over documents; p: McNemar's exact test");
            comparison.accuracies().forEach(accuracy -> {
                flips(out, accuracy, "only A right", accuracy.lost());
                flips(out, accuracy, "only B right", accuracy.won());
            });
        }
        if (losses.size() == 1 && accuracies.size() == 1) {
            out.println("nothing to compare");
        }
        out.flush();
        PrintWriter err = spec.commandLine().getErr();
        comparison.notes().forEach(note -> err.println("ptq: " + note));
        err.flush();
        return 0;
    }

    private static List<String[]> losses(Comparison comparison) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"loss", "A", "B", "B - A", "95 % interval", "p", "perplexity", "chunks", ""});
        for (Comparison.Loss loss : comparison.losses()) {
            rows.add(new String[] {
                loss.text(),
                decimal("%.4f", loss.first()),
                decimal("%.4f", loss.second()),
                decimal("%+.4f", loss.second() - loss.first()),
                interval(loss.interval()),
                decimal("%.4f", loss.probability()),
                decimal("%+.2f %%", 100 * Math.expm1(loss.second() - loss.first())),
                String.valueOf(loss.chunks()),
                loss.isBelowSpread() ? "below the numerical spread " + decimal("%.4f", loss.spread()) : ""
            });
        }
        return rows;
    }

    private static List<String[]> accuracies(Comparison comparison) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {
            "task", "metric", "A", "B", "B - A", "95 % interval", "p", "only A right", "only B right", "documents"
        });
        for (Comparison.Accuracy accuracy : comparison.accuracies()) {
            rows.add(new String[] {
                accuracy.task(),
                accuracy.metric(),
                decimal("%.4f", accuracy.first()),
                decimal("%.4f", accuracy.second()),
                decimal("%+.4f", accuracy.second() - accuracy.first()),
                interval(accuracy.interval()),
                decimal("%.4f", accuracy.probability()),
                String.valueOf(accuracy.lost().size()),
                String.valueOf(accuracy.won().size()),
                String.valueOf(accuracy.documents())
            });
        }
        return rows;
    }

    private void flips(PrintWriter out, Comparison.Accuracy accuracy, String what, List<String> documents) {
        if (documents.isEmpty()) {
            return;
        }
        int shown = allFlips ? documents.size() : Math.min(SHOWN_FLIPS, documents.size());
        String ids = String.join(" ", documents.subList(0, shown));
        out.printf(
                "%s %s, %s: %s%s%n",
                accuracy.task(),
                accuracy.metric(),
                what,
                ids,
                shown < documents.size() ? " and " + (documents.size() - shown) + " more" : "");
    }

    private static String interval(Optional<PairedBootstrap.Interval> interval) {
        return interval.map(found -> String.format(Locale.ROOT, "[%+.4f, %+.4f]", found.low(), found.high()))
                .orElse("-");
    }

    private static String decimal(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}
