package dev.ptq.lqer;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Node;
import dev.ptq.config.Position;
import dev.ptq.config.Problems;
import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Reads LQER files: TOML in which a text behind {@code :ast:} is a Python literal. */
final class LqerFile {
    private static final String LITERAL = ":ast:";
    private static final Pattern OVERRIDE = Pattern.compile("(?s)--?(?<key>[^=:-][^=]*)=(?<value>.*)");

    private final Problems problems;

    private LqerFile(Problems problems) {
        this.problems = problems;
    }

    /**
     * Reads a file.
     *
     * @param overrides {@code --a:b:c=value}, in the syntax of LQER's scripts
     * @param problems collects the errors found
     * @throws ConfigException if it is not TOML
     */
    static LqerTable read(Path file, List<String> overrides, Problems problems) throws IOException {
        LqerFile reader = new LqerFile(problems);
        Node.Table document = reader.table(Node.read(file), List.of());
        overrides.forEach(override -> reader.override(document, override));
        return new LqerTable(document, problems);
    }

    private Node.Table table(Node.Table table, List<String> path) {
        Map<String, Node> entries = new LinkedHashMap<>();
        table.value().forEach((key, value) -> entries.put(key, withLiterals(value, append(path, key))));
        return new Node.Table(entries, table.position());
    }

    private Node withLiterals(Node node, List<String> path) {
        if (node instanceof Node.Table table) {
            return table(table, path);
        }
        if (node instanceof Node.Items items) {
            return new Node.Items(
                    items.value().stream().map(item -> withLiterals(item, path)).toList(), items.position());
        }
        return node.value() instanceof String text && text.startsWith(LITERAL)
                ? literal(text, node.position(), path)
                : node;
    }

    private Node literal(String text, Position position, List<String> path) {
        try {
            return PythonLiteral.parse(text.substring(LITERAL.length()), position, TomlWriter.key(path));
        } catch (ConfigException e) {
            problems.add(position, String.valueOf(e.getMessage()).substring((position + ": ").length()));
            return new Node.Scalar(LqerTable.NONE, position);
        }
    }

    private void override(Node.Table document, String override) {
        Position position = new Position(override, 0, 0);
        Matcher parts = OVERRIDE.matcher(override);
        if (!parts.matches()) {
            problems.add(position, "expected an option of import-lqer, or --section:key=value");
            return;
        }
        List<String> path = Arrays.asList(parts.group("key").split(":", -1));
        Node.Table parent = document;
        for (String section : path.subList(0, path.size() - 1)) {
            if (!(parent.value().get(section) instanceof Node.Table child)) {
                problems.add(position, unknown(section, parent, "section"));
                return;
            }
            parent = child;
        }
        String last = path.get(path.size() - 1);
        String value = parts.group("value");
        Node before = parent.value().get(last);
        if (value.startsWith(LITERAL)) {
            parent.value().put(last, literal(value, position, path));
        } else if (before == null) {
            problems.add(position, unknown(last, parent, "key"));
        } else {
            parent.value().put(last, likeBefore(value, before, position));
        }
    }

    /** A plain value takes the type of the one it replaces. */
    private Node likeBefore(String value, Node before, Position position) {
        Object old = before.value();
        try {
            if (old instanceof Long || (old.equals(LqerTable.NONE) && value.matches("-?[0-9]+"))) {
                return new Node.Scalar(Long.parseLong(value.strip()), position);
            }
            if (old instanceof Double) {
                return new Node.Scalar(Double.parseDouble(value), position);
            }
        } catch (NumberFormatException e) {
            problems.add(position, "expected a number, as the file has");
            return before;
        }
        if (old instanceof Boolean && !value.equals("True") && !value.equals("true")) {
            problems.add(position, "expected :ast:True or :ast:False; LQER takes any other text as true");
            return before;
        }
        if (!(before instanceof Node.Scalar)) {
            problems.add(position, "expected :ast: and a literal of Python, as the file has " + before.shown());
            return before;
        }
        return new Node.Scalar(old instanceof Boolean ? (Object) true : value, position);
    }

    private static String unknown(String key, Node.Table table, String what) {
        return "the file has no " + what + " " + TomlWriter.inline(key)
                + Spelling.hint(Spelling.closest(key, table.value().keySet()));
    }

    private static List<String> append(List<String> path, String key) {
        List<String> longer = new ArrayList<>(path);
        longer.add(key);
        return longer;
    }
}
