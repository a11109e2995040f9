package dev.ptq.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A document with tables of keys, each between {@code <!-- keys: SECTION -->} or {@code <!-- keys: SECTION of CHOICE,
 * CHOICE -->} and {@code <!-- end -->}. They are written by {@code scripts/reference}.
 */
public final class ReferenceFile {
    private static final Pattern TABLE =
            Pattern.compile("<!-- keys: (?<section>[\\w. ]+?)(?: of (?<choices>[\\w, ]+))? -->\n(?s:.*?)<!-- end -->");

    private final Map<String, Section> sections;
    private final Set<String> missing = new LinkedHashSet<>();

    private ReferenceFile(Section root) {
        sections = root.withInner().stream().collect(Collectors.toMap(Section::title, Function.identity()));
        for (Section section : sections.values()) {
            missing.add(section.title());
            section.variants().keySet().forEach(choice -> missing.add(section.title() + " of " + choice));
        }
    }

    /**
     * Compares the tables of a document with what is declared, or writes them if the property {@code reference.write} is
     * set.
     *
     * @param root of the sections, each of which must be there
     */
    public static void check(Path file, Section root) throws IOException {
        String text = Files.readString(file);
        ReferenceFile reference = new ReferenceFile(root);
        String filled =
                TABLE.matcher(text).replaceAll(table -> Matcher.quoteReplacement(reference.filled(table.group())));
        assertThat(reference.missing)
                .as("keys that %s has no table for; add <!-- keys: … -->, <!-- end -->", file)
                .isEmpty();
        if (Boolean.getBoolean("reference.write")) {
            Files.writeString(file, filled);
        } else {
            assertThat(text)
                    .as("%s is not what the code declares; run scripts/reference", file)
                    .isEqualTo(filled);
        }
    }

    private String filled(String old) {
        Matcher table = TABLE.matcher(old);
        assertThat(table.matches()).isTrue();
        String title = table.group("section");
        Section section = Objects.requireNonNull(sections.get(title), () -> "there is no section " + title);
        String choices = table.group("choices");
        List<String> lines = choices == null ? own(section) : ofChoices(section, List.of(choices.split(", ")));
        String first = old.substring(0, old.indexOf('\n') + 1);
        return first + "\n" + String.join("\n", lines) + "\n\n<!-- end -->";
    }

    private List<String> own(Section section) {
        missing.remove(section.title());
        if (section.variants().isEmpty()) {
            return lines(KeyRow.of(section), List.of());
        }
        String chooser = section.keys().all().get(0).name();
        return Stream.concat(
                        Stream.of(line("`" + chooser + "`", "meaning"), line("---", "---")),
                        section.choices().entrySet().stream()
                                .map(choice -> line("`\"" + choice.getKey() + "\"`", choice.getValue())))
                .toList();
    }

    private List<String> ofChoices(Section section, List<String> choices) {
        assertThat(section.variants().keySet()).containsAll(choices);
        choices.forEach(choice -> missing.remove(section.title() + " of " + choice));
        List<KeyRow> rows = KeyRow.of(section, choices);
        boolean alike = rows.stream().allMatch(row -> row.variants().equals(choices));
        return lines(rows, alike ? List.of() : choices);
    }

    /** A table of rows, with a column for the choices they come with unless there are none. */
    private static List<String> lines(List<KeyRow> rows, List<String> choices) {
        boolean withVariants = !choices.isEmpty();
        String[] head = withVariants
                ? new String[] {"key", "of", "values", "default", "meaning"}
                : new String[] {"key", "values", "default", "meaning"};
        Stream<String> body = rows.stream()
                .map(row -> withVariants
                        ? line("`" + row.key() + "`", variants(row, choices), row.values(), row.preset(), row.meaning())
                        : line("`" + row.key() + "`", row.values(), row.preset(), row.meaning()));
        String rule = line(Arrays.stream(head).map(column -> "---").toArray(String[]::new));
        return Stream.concat(Stream.of(line(head), rule), body).toList();
    }

    private static String variants(KeyRow row, List<String> choices) {
        if (row.variants().equals(choices)) {
            return "all";
        }
        return row.variants().stream().map(variant -> "`" + variant + "`").collect(Collectors.joining(", "));
    }

    private static String line(String... cells) {
        return Arrays.stream(cells)
                .map(cell -> cell.replace("|", "\\|"))
                .collect(Collectors.joining(" | ", "| ", " |"));
    }
}
