package dev.ptq.train;

import dev.ptq.chart.Axis;
import dev.ptq.chart.LineChart;
import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
import java.io.IOException;
import java.io.Reader;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVParser;
import org.apache.commons.csv.CSVPrinter;
import org.apache.commons.csv.CSVRecord;

/** The losses of a training: a table, and a chart of it. */
public final class LossCurve {
    /** The name of the table. */
    public static final String TABLE = "loss.csv";

    /** The name of the chart. */
    public static final String CHART = "loss.svg";

    private static final String VALIDATION = "validation_loss/";
    private static final List<String> COLUMNS = List.of("step", "tokens", "learning_rate", "train_loss");

    /** Nine digits tell any two float32 apart. */
    private static final MathContext DIGITS = new MathContext(9, RoundingMode.HALF_EVEN);

    /**
     * Number of points of the training loss in the chart: means over equally many steps, or single steps if there are
     * fewer.
     */
    private static final int TRAINING_POINTS = 120;

    /**
     * One step of the training.
     *
     * @param tokens read up to and including this step
     * @param trainLoss mean over the step's tokens, in nats
     * @param validationLosses mean over the tokens of each corpus, in nats, by its name; of those that were measured
     *     after this step
     */
    public record Row(
            long step, long tokens, double learningRate, double trainLoss, Map<String, Double> validationLosses) {
        public Row {
            validationLosses = Collections.unmodifiableMap(new TreeMap<>(validationLosses));
            checkFinite("learning rate", learningRate, step);
            checkFinite("training loss", trainLoss, step);
            for (Map.Entry<String, Double> loss : validationLosses.entrySet()) {
                checkFinite("loss on " + loss.getKey(), loss.getValue(), step);
            }
        }

        private static void checkFinite(String what, double value, long step) {
            if (!Double.isFinite(value)) {
                throw new IllegalArgumentException("step " + step + ": the " + what + " is " + value);
            }
        }
    }

    private LossCurve() {}

    /** Writes the table and the chart. At any time each file is the old one or the new one. */
    public static void write(Path folder, List<Row> rows) throws IOException {
        replace(folder.resolve(TABLE), csv(rows));
        replace(folder.resolve(CHART), chart(rows).svg());
    }

    /**
     * Reads a table.
     *
     * @throws IOException naming the file and the faulty line
     */
    public static List<Row> read(Path file) throws IOException {
        CSVFormat format = CSVFormat.DEFAULT
                .builder()
                .setHeader()
                .setSkipHeaderRecord(true)
                .get();
        List<Row> rows = new ArrayList<>();
        try (Reader reader = Files.newBufferedReader(file);
                CSVParser parser = CSVParser.parse(reader, format)) {
            for (CSVRecord line : parser) {
                try {
                    rows.add(row(line));
                } catch (IllegalArgumentException e) {
                    throw new IOException(file + ":" + parser.getCurrentLineNumber() + ": " + e.getMessage(), e);
                }
            }
        }
        return rows;
    }

    private static Row row(CSVRecord line) {
        Map<String, Double> validationLosses = new LinkedHashMap<>();
        line.toMap().forEach((column, value) -> {
            if (column.startsWith(VALIDATION) && !value.isEmpty()) {
                validationLosses.put(column.substring(VALIDATION.length()), Double.valueOf(value));
            }
        });
        return new Row(
                Long.parseLong(line.get("step")),
                Long.parseLong(line.get("tokens")),
                Double.parseDouble(line.get("learning_rate")),
                Double.parseDouble(line.get("train_loss")),
                validationLosses);
    }

    private static String csv(List<Row> rows) throws IOException {
        SortedSet<String> corpora = corpora(rows);
        List<String> header = new ArrayList<>(COLUMNS);
        corpora.forEach(corpus -> header.add(VALIDATION + corpus));
        CSVFormat format = CSVFormat.DEFAULT
                .builder()
                .setHeader(header.toArray(String[]::new))
                .setRecordSeparator('\n')
                .get();
        StringBuilder text = new StringBuilder();
        try (CSVPrinter printer = new CSVPrinter(text, format)) {
            for (Row row : rows) {
                List<Object> cells = new ArrayList<>(
                        List.of(row.step(), row.tokens(), number(row.learningRate()), number(row.trainLoss())));
                for (String corpus : corpora) {
                    Double loss = row.validationLosses().get(corpus);
                    cells.add(loss == null ? "" : number(loss));
                }
                printer.printRecord(cells);
            }
        }
        return text.toString();
    }

    private static String number(double value) {
        return new BigDecimal(value).round(DIGITS).stripTrailingZeros().toPlainString();
    }

    private static LineChart chart(List<Row> rows) {
        List<Series> series = new ArrayList<>();
        int steps = Math.max(1, rows.size() / TRAINING_POINTS);
        series.add(LineChart.line(
                steps == 1 ? "training" : "training, mean of " + steps + " steps", 0, means(rows, steps)));
        for (String corpus : corpora(rows)) {
            series.add(LineChart.line(
                    corpus,
                    series.size(),
                    rows.stream()
                            .filter(row -> row.validationLosses().containsKey(corpus))
                            .map(row -> new Point(
                                    row.tokens(), row.validationLosses().get(corpus)))
                            .toList()));
        }
        return new LineChart(
                "loss by tokens",
                Axis.linear("tokens"),
                Axis.logarithmic("loss, nats per token"),
                series,
                LineChart.Size.WIDE);
    }

    /** Means over this many rows each, at the middle of their tokens; the last is over the rest. */
    private static List<Point> means(List<Row> rows, int steps) {
        List<Point> means = new ArrayList<>();
        for (int from = 0; from < rows.size(); from += steps) {
            List<Row> group = rows.subList(from, Math.min(from + steps, rows.size()));
            means.add(new Point(
                    group.stream().mapToLong(Row::tokens).average().orElseThrow(),
                    group.stream().mapToDouble(Row::trainLoss).average().orElseThrow()));
        }
        return means;
    }

    private static SortedSet<String> corpora(List<Row> rows) {
        SortedSet<String> corpora = new TreeSet<>();
        rows.forEach(row -> corpora.addAll(row.validationLosses().keySet()));
        return corpora;
    }

    private static void replace(Path file, String content) throws IOException {
        Path partial = file.resolveSibling(file.getFileName() + ".partial");
        try {
            Files.writeString(partial, content);
            Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(partial);
        }
    }
}
