package dev.ptq.stage;

import dev.ptq.artifact.AllocationColumn;
import dev.ptq.artifact.RunFiles;
import dev.ptq.artifact.TableColumn;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What a config says of the allotment that its overrides come from, {@code [allocation]}. It changes nothing.
 *
 * @param choices that there were
 * @param linears modules
 * @param chosen the index of the choice that each got
 * @param bits per weight of that
 * @param scores of that
 */
public record AllocationNotes(
        List<String> choices, List<String> linears, List<Integer> chosen, List<Double> bits, List<Double> scores) {
    private static final Key<String> RUN =
            Key.text("run").says("the config of the run whose samples the scores were taken on");
    private static final Key<String> SCORE = Key.text("score").says("the score whose sum was made least");
    private static final Key<List<String>> BUDGET = Key.strings("budget").says("the most that the model might cost");
    private static final Key<List<String>> CHOICES = Key.strings("choices").says("what a linear could be given");
    private static final Key<List<String>> PREDICTED = Key.strings("predicted").says("the costs of the allotment");
    private static final Key<List<String>> LINEARS = Key.strings("linears").says("the linears");
    private static final Key<List<Integer>> CHOSEN =
            Key.integers("chosen").says("the place, from 0, of what each was given among the choices");
    private static final Key<List<Object>> BITS = Key.values("bits").says("bits per weight of each");
    private static final Key<List<Object>> SCORES = Key.values("scores").says("the score of each");

    /** The keys of {@code [allocation]}. */
    static final Section SECTION =
            Section.of("allocation", RUN, SCORE, BUDGET, CHOICES, PREDICTED, LINEARS, CHOSEN, BITS, SCORES);

    /** Reads {@code [allocation]}. */
    static AllocationNotes read(ConfigTable table) {
        table.read(RUN);
        table.read(SCORE);
        table.read(BUDGET);
        table.read(PREDICTED);
        AllocationNotes notes = new AllocationNotes(
                table.read(CHOICES),
                table.read(LINEARS),
                table.read(CHOSEN),
                numbers(table, BITS),
                numbers(table, SCORES));
        int count = notes.linears.size();
        if (notes.chosen.size() != count || notes.bits.size() != count || notes.scores.size() != count) {
            table.problem(LINEARS, "expected as many as there are in chosen, bits and scores, got " + count);
        } else if (notes.chosen.stream().anyMatch(choice -> choice < 0 || choice >= notes.choices.size())) {
            table.problem(CHOSEN, "expected numbers from 0 to less than that of choices, " + notes.choices.size());
        }
        return notes;
    }

    private static List<Double> numbers(ConfigTable table, Key<List<Object>> key) {
        List<Double> numbers = new ArrayList<>();
        for (Object value : table.read(key)) {
            if (value instanceof Number number) {
                numbers.add(number.doubleValue());
            } else {
                table.problem(key, "expected numbers, got " + value);
                return List.of();
            }
        }
        return numbers;
    }

    /** Writes the table of linears into the directory of a run. */
    public void write(Path run) throws IOException {
        List<List<Object>> rows = new ArrayList<>();
        for (int i = 0; i < linears.size(); i++) {
            rows.add(List.of(linears.get(i), choices.get(chosen.get(i)), bits.get(i), scores.get(i)));
        }
        Path folder = Files.createDirectories(run.resolve(RunFiles.ALLOCATION));
        Tables.write(folder.resolve(RunFiles.LAYERS), TableColumn.header(AllocationColumn.values()), rows);
    }
}
