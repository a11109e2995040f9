package dev.ptq.report;

import dev.ptq.config.ConfigException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A condition on runs, {@code KEY=VALUE} with a setting or a metric: also with {@code !=}, {@code <}, {@code <=}, {@code >}
 * and {@code >=}. Two numbers are compared by size, anything else letter by letter.
 */
public final class RunFilter {
    private static final Pattern FORM = Pattern.compile("([^=<>!]+)(!=|<=|>=|=|<|>)(.*)", Pattern.DOTALL);

    private final String key;
    private final String operator;
    private final String value;

    private RunFilter(String key, String operator, String value) {
        this.key = key;
        this.operator = operator;
        this.value = value;
    }

    /**
     * Reads a condition.
     *
     * @throws ConfigException if it has no such form, or orders what is no number
     */
    public static RunFilter parse(String text) {
        Matcher parts = FORM.matcher(text);
        if (!parts.matches()) {
            throw new ConfigException("expected KEY=VALUE, or one of != < <= > >= in the middle, got \"" + text + "\"");
        }
        RunFilter filter = new RunFilter(
                parts.group(1).strip(), parts.group(2), parts.group(3).strip());
        if (filter.isOrder() && number(filter.value).isEmpty()) {
            throw new ConfigException("expected a number behind " + filter.operator + ", got \"" + text + "\"");
        }
        return filter;
    }

    /**
     * Returns the runs for which all conditions hold; a run without a setting or metric has the value of empty text,
     * which is neither smaller nor larger than any number.
     *
     * @throws ConfigException if no run has a setting or metric of that name, or no run is left
     */
    public static List<ResultRow> all(List<ResultRow> rows, List<RunFilter> filters) {
        if (filters.isEmpty()) {
            return rows;
        }
        RunKeys keys = new RunKeys(rows);
        keys.requireKnown(filters.stream().map(filter -> filter.key).toList());
        List<ResultRow> left = rows.stream()
                .filter(row -> filters.stream().allMatch(filter -> filter.holds(keys.value(row, filter.key))))
                .toList();
        if (left.isEmpty()) {
            throw new ConfigException("of " + rows.size() + " runs none is left");
        }
        return left;
    }

    private boolean isOrder() {
        return operator.startsWith("<") || operator.startsWith(">");
    }

    private static Stream<Double> parsed(Object value) {
        return number(value.toString()).stream();
    }

    private static List<Double> number(String text) {
        try {
            return List.of(Double.parseDouble(text));
        } catch (NumberFormatException e) {
            return List.of();
        }
    }

    private boolean holds(Object found) {
        List<Double> both = Stream.concat(parsed(found), parsed(value)).toList();
        if (both.size() < 2) {
            boolean isEqual = found.toString().equals(value);
            return operator.equals("=") ? isEqual : operator.equals("!=") && !isEqual;
        }
        double a = both.get(0);
        double b = both.get(1);
        return switch (operator) {
            case "=" -> a == b;
            case "!=" -> a != b;
            case "<" -> a < b;
            case "<=" -> a <= b;
            case ">" -> a > b;
            default -> a >= b;
        };
    }
}
