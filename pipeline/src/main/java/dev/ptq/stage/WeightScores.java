package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.SensitivityColumn;
import dev.ptq.artifact.TableColumn;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What rounding the weight of one linear as one candidate does costs and spares.
 *
 * @param module of the linear
 * @param choice index of the candidate
 * @param bitsPerWeight storage, low-rank factors included
 * @param bitOperations for a token
 * @param bytes read for a token
 * @param weightError {@code ||W - Wq||²}
 * @param outputError the same with columns weighted by the mean squares of the inputs
 * @param gradient the sum of the magnitudes of error times gradient of the loss
 * @param fisher half the mean square, over tokens, of the change of the loss to first order
 */
public record WeightScores(
        String module,
        int choice,
        double bitsPerWeight,
        double bitOperations,
        double bytes,
        double weightError,
        double outputError,
        double gradient,
        double fisher) {
    /** A score by which linears and candidates are compared. */
    public enum Score {
        WEIGHT_ERROR,
        OUTPUT_ERROR,
        GRADIENT,
        FISHER;

        /** The name on the command line and of the column. */
        public String label() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Returns one of the scores; all grow with the damage. */
    public double score(Score which) {
        return switch (which) {
            case WEIGHT_ERROR -> weightError;
            case OUTPUT_ERROR -> outputError;
            case GRADIENT -> gradient;
            case FISHER -> fisher;
        };
    }

    /** Returns whether all numbers are finite. */
    boolean isFinite() {
        return Double.isFinite(bitsPerWeight)
                && Arrays.stream(Score.values()).allMatch(which -> Double.isFinite(score(which)));
    }

    static void write(Path folder, List<WeightScores> all) throws IOException {
        List<List<Object>> rows = new ArrayList<>();
        for (WeightScores scores : all) {
            rows.add(List.of(
                    scores.module,
                    scores.choice,
                    scores.bitsPerWeight,
                    scores.bitOperations,
                    scores.bytes,
                    scores.weightError,
                    scores.outputError,
                    scores.gradient,
                    scores.fisher));
        }
        Tables.write(folder.resolve(RunFiles.LAYERS), TableColumn.header(SensitivityColumn.values()), rows);
    }

    /**
     * Reads the table of the stage {@link RunFiles#SENSITIVITY}.
     *
     * @throws IOException naming the file, if it is no such table
     */
    public static List<WeightScores> read(Path folder) throws IOException {
        Path file = folder.resolve(RunFiles.LAYERS);
        List<WeightScores> all = new ArrayList<>();
        try {
            for (Map<String, String> row : Tables.read(file, TableColumn.header(SensitivityColumn.values()))) {
                all.add(new WeightScores(
                        Tables.cell(row, SensitivityColumn.MODULE),
                        Integer.parseInt(Tables.cell(row, SensitivityColumn.CHOICE)),
                        number(row, SensitivityColumn.BITS_PER_WEIGHT),
                        number(row, SensitivityColumn.BOPS_PER_TOKEN),
                        number(row, SensitivityColumn.BYTES_PER_TOKEN),
                        number(row, SensitivityColumn.WEIGHT_ERROR),
                        number(row, SensitivityColumn.OUTPUT_ERROR),
                        number(row, SensitivityColumn.GRADIENT),
                        number(row, SensitivityColumn.FISHER)));
            }
        } catch (NumberFormatException e) {
            throw new IOException(file + ": expected numbers: " + e.getMessage(), e);
        }
        return all;
    }

    private static double number(Map<String, String> row, SensitivityColumn column) {
        return Double.parseDouble(Tables.cell(row, column));
    }
}
