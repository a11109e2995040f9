package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.evaluate.PythonText;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A text with placeholders for the fields of a document: {@code Question: {question|strip}}.
 *
 * <p>Braces hold a field, {@code choices.text} a field of an object, {@code choices.0} an item of a list; then the
 * {@link TextOperation}s applied to its text, in order.
 *
 * @param source as it is written
 * @param then operations on the whole text
 */
record Template(String source, List<Piece> pieces, List<TextOperation> then) {
    private static final Pattern PLACE =
            Pattern.compile("\\{([a-z0-9_.]+)((?:\\|[a-z_]+)*)\\}", Pattern.CASE_INSENSITIVE);

    /** A literal text or a field. */
    private record Piece(String text, List<String> path, List<TextOperation> operations) {}

    /**
     * Reads a template.
     *
     * @throws IllegalArgumentException if it names an unknown operation, or has an unmatched brace
     */
    static Template of(String source, List<String> then) {
        List<Piece> pieces = new ArrayList<>();
        Matcher place = PLACE.matcher(source);
        int done = 0;
        while (place.find()) {
            pieces.add(literal(source.substring(done, place.start())));
            List<TextOperation> operations = operations(
                    Arrays.stream(place.group(2).split("\\|", -1)).skip(1).toList());
            pieces.add(new Piece("", List.of(place.group(1).split("\\.", -1)), operations));
            done = place.end();
        }
        pieces.add(literal(source.substring(done)));
        pieces.removeIf(piece -> piece.path().isEmpty() && piece.text().isEmpty());
        return new Template(source, List.copyOf(pieces), operations(then));
    }

    private static Piece literal(String text) {
        if (text.indexOf('{') >= 0 || text.indexOf('}') >= 0) {
            throw new IllegalArgumentException("not a place for a field: " + text);
        }
        return new Piece(text, List.of(), List.of());
    }

    private static List<TextOperation> operations(List<String> names) {
        return names.stream().map(TextOperation::named).toList();
    }

    /**
     * Returns the text for a document.
     *
     * @throws ConfigException saying which field is missing or wrong
     */
    String text(ObjectNode document) {
        StringBuilder text = new StringBuilder();
        for (Piece piece : pieces) {
            text.append(piece.path().isEmpty() ? piece.text() : text(piece, field(piece, document)));
        }
        return applied(text.toString(), then);
    }

    /**
     * Returns the texts of a field that is a list.
     *
     * @throws ConfigException if it is none
     */
    List<String> texts(ObjectNode document) {
        Piece piece = pieces.get(0);
        JsonNode list = field(piece, document);
        if (!list.isArray()) {
            throw new ConfigException("expected a list under " + name(piece) + ", got " + shown(list));
        }
        List<String> texts = new ArrayList<>();
        list.forEach(item -> texts.add(applied(text(piece, item), then)));
        return texts;
    }

    private static JsonNode field(Piece piece, ObjectNode document) {
        JsonNode node = document;
        for (String key : piece.path()) {
            node = node.isArray() && key.matches("[0-9]+") ? node.path(Integer.parseInt(key)) : node.path(key);
        }
        if (node.isMissingNode() || node.isNull()) {
            throw new ConfigException("expected a field " + name(piece) + ", found " + document.propertyNames());
        }
        return node;
    }

    private static String text(Piece piece, JsonNode value) {
        if (!value.isString() && !value.isNumber()) {
            throw new ConfigException("expected a text under " + name(piece) + ", got " + shown(value));
        }
        try {
            return applied(PythonText.text(value), piece.operations());
        } catch (ConfigException e) {
            throw new ConfigException(name(piece) + ": " + e.getMessage());
        }
    }

    private static String applied(String text, List<TextOperation> operations) {
        String changed = text;
        for (TextOperation operation : operations) {
            changed = operation.apply(changed);
        }
        return changed;
    }

    private static String name(Piece piece) {
        return "\"" + String.join(".", piece.path()) + "\"";
    }

    private static String shown(JsonNode value) {
        String text = value.toString();
        return text.length() > 60 ? text.substring(0, 60) + "…" : text;
    }
}
