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

/** Applies the {@code key.path=value} pairs of the command line, and the keys that it unsets, to a document. */
final class Overrides {
    /** Begins an override that removes a key. */
    static final String UNSET = "~";

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
        if (override.startsWith(UNSET)) {
            unset(override.substring(UNSET.length()), position);
            return;
        }
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
        if (override.startsWith(UNSET)) {
            return path(override.substring(UNSET.length()));
        }
        Matcher assignment = ASSIGNMENT.matcher(override);
        return assignment.matches() ? path(assignment.group("key")) : List.of();
    }

    /** Returns what stands behind the equals sign; nothing if there is none. */
    static String valueText(String override) {
        Matcher assignment = ASSIGNMENT.matcher(override);
        return assignment.matches() ? assignment.group("value") : "";
    }

    /** Returns the value of a text as an override has it, if it is one: TOML, or a bare word. */
    static Optional<Object> valueOf(String text) {
        return value(text.strip(), Position.ofArgument(text)).map(value -> Node.plain(value.value()));
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

    private void unset(String key, Position position) {
        List<String> path = path(key);
        if (path.isEmpty()) {
            problems.add(position, "expected a dotted key, unusual parts in quotes");
            return;
        }
        Node parent = document;
        for (int depth = 0; depth < path.size(); depth++) {
            String segment = path.get(depth);
            boolean last = depth == path.size() - 1;
            if (parent instanceof Node.Table table && table.value().containsKey(segment)) {
                parent = last ? table.value().remove(segment) : table.value().get(segment);
            } else if (parent instanceof Node.Items items) {
                OptionalInt index = index(items, path.subList(0, depth), segment, position);
                if (index.isEmpty()) {
                    return;
                }
                parent = last
                        ? items.value().remove(index.getAsInt())
                        : items.value().get(index.getAsInt());
            } else {
                List<String> there = parent instanceof Node.Table table
                        ? List.copyOf(table.value().keySet())
                        : List.of();
                problems.add(
                        position,
                        TomlWriter.key(path),
                        "there is no such key to unset" + Spelling.hint(Spelling.closest(segment, there)));
                return;
            }
        }
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
