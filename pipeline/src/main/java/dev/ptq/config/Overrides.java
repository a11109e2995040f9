package dev.ptq.config;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tomlj.Toml;
import org.tomlj.TomlParseResult;

/** Applies the {@code key.path=value} pairs of the command line to a document. */
final class Overrides {
    /** A quoted part of the key may hold an equals sign. */
    private static final Pattern ASSIGNMENT =
            Pattern.compile("(?s)(?<key>(?:[^='\"]++|'[^']*'|\"(?:[^\"\\\\]|\\\\.)*\")*)=(?<value>.*)");

    private static final Pattern BARE_WORD = Pattern.compile("[A-Za-z0-9_./~:@-]+");
    static final Pattern INDEX = Pattern.compile("[0-9]+");

    /** Keys whose value can replace an index into a list of tables. */
    private static final List<String> NAMING_KEYS = List.of("method", "name", "dataset");

    private final Node.Table document;
    private final Problems problems;

    Overrides(Node.Table document, Problems problems) {
        this.document = document;
        this.problems = problems;
    }

    /** Applies one override; problems with it are reported at {@code position}. */
    void apply(String override, Position position) {
        Matcher assignment = ASSIGNMENT.matcher(override);
        if (!assignment.matches()) {
            problems.add(position, "expected key=value");
            return;
        }
        List<String> path = path(assignment.group("key"));
        if (path.isEmpty()) {
            problems.add(position, "expected a dotted key before the equals sign, unusual parts in quotes");
            return;
        }
        value(assignment.group("value").strip(), position)
                .ifPresentOrElse(
                        value -> set(document, path, 0, value),
                        () -> problems.add(
                                position, TomlWriter.key(path), "expected a value as in a TOML file, text in quotes"));
    }

    /** Returns the parts of the key before the equals sign; none if there is no key. */
    static List<String> pathOf(String override) {
        Matcher assignment = ASSIGNMENT.matcher(override);
        return assignment.matches() ? path(assignment.group("key")) : List.of();
    }

    /** Returns the parts of a dotted key; none if it is not a key. */
    static List<String> path(String key) {
        try {
            return Toml.parseDottedKey(key);
        } catch (IllegalArgumentException notAKey) {
            return List.of();
        }
    }

    private static Optional<Node> value(String text, Position position) {
        TomlParseResult parsed = Toml.parse("value = " + text);
        if (!parsed.hasErrors() && parsed.keySet().size() == 1) {
            return Optional.ofNullable(
                    Node.table(parsed, position, anywhere -> position).value().get("value"));
        }
        return BARE_WORD.matcher(text).matches() ? Optional.of(new Node.Scalar(text, position)) : Optional.empty();
    }

    private void set(Node parent, List<String> path, int depth, Node value) {
        String segment = path.get(depth);
        boolean last = depth == path.size() - 1;
        if (parent instanceof Node.Table table) {
            if (last) {
                table.value().put(segment, value);
            } else {
                Node child = table.value()
                        .computeIfAbsent(
                                segment, absent -> new Node.Table(new LinkedHashMap<>(), value.position(), true));
                set(child, path, depth + 1, value);
            }
        } else if (parent instanceof Node.Items items) {
            OptionalInt index = index(items, path.subList(0, depth), segment, value.position());
            if (index.isPresent() && last) {
                items.value().set(index.getAsInt(), value);
            } else if (index.isPresent()) {
                set(items.value().get(index.getAsInt()), path, depth + 1, value);
            }
        } else {
            problems.add(
                    value.position(),
                    TomlWriter.key(path.subList(0, depth)),
                    "expected a table, got " + parent.shown());
        }
    }

    /** Returns the entry that a segment addresses: by index, or by a name that only one entry has. */
    private OptionalInt index(Node.Items items, List<String> path, String segment, Position position) {
        List<Node> entries = items.value();
        List<Integer> matches = IntStream.range(0, entries.size())
                .filter(i -> INDEX.matcher(segment).matches()
                        ? segment.equals(String.valueOf(i))
                        : names(entries.get(i)).anyMatch(segment::equals))
                .boxed()
                .toList();
        if (matches.size() == 1) {
            return OptionalInt.of(matches.get(0));
        }
        String message = matches.isEmpty()
                ? "expected " + choices(entries) + ", got " + TomlWriter.inline(segment)
                        + Spelling.hint(Spelling.closest(
                                segment,
                                entries.stream().flatMap(Overrides::names).toList()))
                : "expected an index, as " + TomlWriter.inline(segment) + " is the name of entries " + matches;
        problems.add(position, TomlWriter.key(path), message);
        return OptionalInt.empty();
    }

    /** Returns the possible names of a list entry: its method, its name, its dataset. */
    static Stream<String> names(Node entry) {
        if (!(entry instanceof Node.Table table)) {
            return Stream.empty();
        }
        return NAMING_KEYS.stream()
                .map(table.value()::get)
                .filter(Objects::nonNull)
                .map(Node::value)
                .filter(String.class::isInstance)
                .map(String.class::cast);
    }

    private static String choices(List<Node> entries) {
        if (entries.isEmpty()) {
            return "an entry, but the list is empty";
        }
        List<String> choices = new ArrayList<>();
        for (Node entry : entries) {
            String name =
                    names(entry).findFirst().map(text -> " (" + text + ")").orElse("");
            choices.add(choices.size() + name);
        }
        return "one of " + choices;
    }
}
