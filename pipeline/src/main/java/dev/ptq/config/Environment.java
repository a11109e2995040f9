package dev.ptq.config;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Replaces <code>${env:NAME}</code> in the texts of a config by the value of that environment variable. */
public final class Environment {
    private static final Pattern REFERENCE = Pattern.compile("\\$\\{env:(?<name>[^}]*)}");

    /** The value of a variable; null if it is not set. */
    private final Function<String, @Nullable String> variables;

    private final Problems problems;

    Environment(Function<String, @Nullable String> variables, Problems problems) {
        this.variables = variables;
        this.problems = problems;
    }

    /** Returns the names of the variables that a text refers to. */
    public static Set<String> names(String text) {
        Set<String> names = new LinkedHashSet<>();
        Matcher references = REFERENCE.matcher(text);
        while (references.find()) {
            names.add(references.group("name"));
        }
        return names;
    }

    /** Replaces in a table and everything below it; a variable that is not set is a problem of its place. */
    void replaceIn(Node.Table table) {
        for (Map.Entry<String, Node> entry : table.value().entrySet()) {
            entry.setValue(replaced(entry.getValue()));
        }
    }

    private Node replaced(Node node) {
        if (node instanceof Node.Table table) {
            replaceIn(table);
        } else if (node instanceof Node.Items items) {
            List<Node> value = items.value();
            value.replaceAll(this::replaced);
        } else if (node.value() instanceof String text && text.contains("${env:")) {
            return new Node.Scalar(replaced(text, node.position()), node.position());
        }
        return node;
    }

    private String replaced(String text, Position position) {
        return REFERENCE.matcher(text).replaceAll(reference -> {
            String name = reference.group(1);
            String value = variables.apply(name);
            if (value == null) {
                problems.add(
                        position, "the environment variable \"" + name + "\" is not set; set it, or write the value");
            }
            return Matcher.quoteReplacement(value == null ? "" : value);
        });
    }
}
