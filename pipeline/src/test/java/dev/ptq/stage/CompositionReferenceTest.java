package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.config.ConfigException;
import dev.ptq.method.Methods;
import dev.ptq.method.Phase;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The tables of compositions in {@code configs/README.md}: which steps go together, and with which formats and caches. They
 * are what the program says of each pair on the reference model, and written by {@code scripts/reference}.
 */
class CompositionReferenceTest {
    private static final Path CONFIGS = Shared.root().resolve("configs/README.md");

    private static final Pattern TABLES =
            Pattern.compile("<!-- compositions -->\n(?s:.*?)<!-- end of compositions -->");

    /** A problem: the place in the file, the key, and what is said. */
    private static final Pattern PROBLEM = Pattern.compile("(?s).*\\.toml:\\d+:\\d+: ([a-z0-9_.]+): (.*)");

    private static final String HEAD = """
            [model]
            path = 'reference'
            [calibration]
            dataset = 'europarl'
            num_samples = 4
            seq_len = 64
            """;

    private static final String INTEGERS = "[quantization.weight]\nformat = 'int'\nbits = 4\n";

    @TempDir
    private Path folder;

    /** Sentences by their number in the tables, from 1. */
    private final Map<String, Integer> sentences = new LinkedHashMap<>();

    /** What was said of experiments: both tests read each pair. */
    private static final Map<List<String>, List<String>> SAID = new HashMap<>();

    /** What is said of an experiment, a sentence for each reason. */
    private List<String> problems(String... parts) throws IOException {
        List<String> said = SAID.get(List.of(parts));
        if (said == null) {
            said = read(parts);
            SAID.put(List.of(parts), said);
        }
        return said;
    }

    private List<String> read(String... parts) throws IOException {
        Path file = folder.resolve("x.toml");
        Files.writeString(file, HEAD + String.join("", parts));
        try {
            Experiment.read(file, List.of());
            return List.of();
        } catch (ConfigException e) {
            assertThat(e.problems()).doesNotHaveDuplicates();
            return e.problems().stream().map(CompositionReferenceTest::sentence).toList();
        }
    }

    private static String sentence(String problem) {
        Matcher matcher = PROBLEM.matcher(problem);
        assertThat(matcher.matches()).as(problem).isTrue();
        assertThat(matcher.group(2))
                .as(problem)
                .doesNotContain("\n", "Exception", "unknown key", "expected one of")
                .hasSizeBetween(20, 320);
        return matcher.group(2);
    }

    /** A cell: a dot, or the numbers of the sentences. */
    private String cell(List<String> problems) {
        return problems.isEmpty()
                ? "yes"
                : problems.stream()
                        .map(CompositionReferenceTest::general)
                        .distinct()
                        .map(problem -> sentences.computeIfAbsent(problem, key -> sentences.size() + 1))
                        .map(String::valueOf)
                        .collect(Collectors.joining(", "));
    }

    /** Without the names of the steps and weights at hand, so that pairs share a sentence. */
    private static String general(String problem) {
        String text = problem.replaceAll("; the order is .*", "; the order is that of the rows")
                .replaceAll("model\\.layers\\.\\S+\\.weight", "a weight")
                .replaceAll("step \\d+ \\(\\w+\\)", "an earlier step")
                .replaceAll("mapping \\w+ is", "a mapping is")
                .replaceAll("no mapping \\w+ that", "no mapping MAPPING that");
        for (String method : Methods.descriptions().keySet()) {
            text = text.replaceAll("\\b" + method + "( \\([^)]*\\))?(?=[ ,;]|$)", "METHOD");
        }
        return text;
    }

    private static List<Compositions.Step> shown() {
        Map<String, Compositions.Step> byMethod = new LinkedHashMap<>();
        for (Compositions.Step step : Compositions.STEPS) {
            byMethod.putIfAbsent(kind(step), step);
        }
        return List.copyOf(byMethod.values());
    }

    /** Steps of one method differ where their keys change what they go together with. */
    private static String kind(Compositions.Step step) {
        Stream<String> deciding = Stream.of(
                        "clip = false", "of = 'weight'", "alternate = 1", "let = false", "lwc = false")
                .filter(key -> step.keys().contains(key));
        String keys = deciding.collect(Collectors.joining(", "));
        return "`" + step.method() + "`" + (keys.isEmpty() ? "" : " `" + keys.replace('\'', '"') + "`");
    }

    private static String row(List<String> cells) {
        return cells.stream().map(cell -> cell.replace("|", "\\|")).collect(Collectors.joining(" | ", "| ", " |"));
    }

    private static void table(List<String> lines, List<String> header, List<List<String>> rows) {
        lines.add(row(header));
        lines.add(row(header.stream().map(name -> "---").toList()));
        rows.forEach(cells -> lines.add(row(cells)));
        lines.add("");
    }

    private List<String> written() throws IOException {
        List<String> lines = new ArrayList<>(List.of("<!-- compositions -->", ""));
        List<Compositions.Step> steps = shown();
        List<String> header = new ArrayList<>(List.of("first", "phase"));
        for (int i = 0; i < steps.size(); i++) {
            header.add(letter(i));
        }
        List<List<String>> pairs = new ArrayList<>();
        for (int i = 0; i < steps.size(); i++) {
            Compositions.Step first = steps.get(i);
            List<String> cells = new ArrayList<>(
                    List.of(letter(i) + " " + kind(first), first.phase().name().toLowerCase(Locale.ROOT)));
            for (Compositions.Step second : steps) {
                cells.add(cell(problems(first.toml(), second.toml(), INTEGERS)));
            }
            pairs.add(cells);
        }
        table(lines, header, pairs);
        lines.addAll(List.of("With each format of weights, alone:", ""));
        formats(lines, steps, Compositions.WEIGHTS, "");
        lines.addAll(
                List.of("With each format of activations, and with each of the cache, weights being integers:", ""));
        List<Compositions.Formats> others = new ArrayList<>(Compositions.ACTIVATIONS);
        others.addAll(Compositions.CACHES.subList(1, Compositions.CACHES.size()));
        formats(lines, steps, others.subList(1, others.size()), INTEGERS);
        sentences.forEach((sentence, number) -> lines.add(number + ". " + sentence));
        lines.addAll(List.of("", "<!-- end of compositions -->"));
        return lines;
    }

    private void formats(
            List<String> lines, List<Compositions.Step> steps, List<Compositions.Formats> formats, String weights)
            throws IOException {
        List<String> header = new ArrayList<>(List.of("step"));
        formats.forEach(format -> header.add(format.label()));
        List<List<String>> rows = new ArrayList<>();
        for (Compositions.Step step : steps) {
            List<String> cells = new ArrayList<>(List.of(kind(step)));
            for (Compositions.Formats format : formats) {
                cells.add(cell(problems(step.toml(), weights, format.toml())));
            }
            rows.add(cells);
        }
        table(lines, header, rows);
    }

    private static String letter(int index) {
        return String.valueOf((char) ('A' + index));
    }

    @Test
    void theReferenceSaysWhatGoesTogether() throws IOException {
        String text = Files.readString(CONFIGS);
        Matcher tables = TABLES.matcher(text);
        assertThat(tables.find()).as("<!-- compositions --> in %s", CONFIGS).isTrue();
        String filled = text.substring(0, tables.start()) + String.join("\n", written()) + text.substring(tables.end());
        if (Boolean.getBoolean("reference.write")) {
            Files.writeString(CONFIGS, filled);
        } else {
            assertThat(text)
                    .as("%s is not what the code says; run scripts/reference", CONFIGS)
                    .isEqualTo(filled);
        }
    }

    /** Steps in the order of their phases, one of each phase, are refused for what they do, never for their order. */
    @Test
    void theOrderOfThePhasesIsAlwaysLegal() throws IOException {
        List<Compositions.Step> steps = shown();
        for (Compositions.Step first : steps) {
            for (Compositions.Step second : steps) {
                List<String> problems = problems(first.toml(), second.toml(), INTEGERS);
                if (first.phase().compareTo(second.phase()) < 0) {
                    assertThat(problems)
                            .as("%s, %s", first, second)
                            .noneMatch(problem -> problem.contains("the order is"));
                } else if (first.phase().compareTo(second.phase()) > 0) {
                    assertThat(problems)
                            .as("%s, %s", first, second)
                            .anyMatch(problem -> problem.contains("the order is"));
                }
            }
        }
        assertThat(steps.stream().map(Compositions.Step::phase).distinct()).containsExactly(Phase.values());
    }
}
