package dev.ptq.sweep;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Keys whose values change together: one of {@code [axes]}, all of a {@code [[zip]]}, or the name of an alternative with
 * all that the alternatives set.
 *
 * @param keys of some row at least; if the axis has alternatives, its name is the first
 * @param rows the values in order, each by its key; empty if the file is wrong there
 */
record SweepAxis(List<String> keys, List<Map<String, Value>> rows) {
    /** Makes an axis of rows that set these keys and maybe more. */
    static SweepAxis of(List<Map<String, Value>> rows) {
        Set<String> keys = new LinkedHashSet<>();
        rows.forEach(row -> keys.addAll(row.keySet()));
        return new SweepAxis(List.copyOf(keys), rows);
    }

    /** Returns the row of an alternative; empty if there is none of that name, or the axis has no alternatives. */
    Optional<Map<String, Value>> alternative(Object name) {
        return rows.stream()
                .filter(row -> row.values().stream()
                        .anyMatch(value -> value.isChoice() && value.value().equals(name)))
                .findFirst();
    }

    /** Returns whether its rows have names. */
    boolean hasAlternatives() {
        return rows.stream().anyMatch(row -> row.values().stream().anyMatch(Value::isChoice));
    }

    /** Returns whether it makes more than one point; otherwise it sets the same in all of them. */
    boolean varies() {
        return rows.size() > 1;
    }

    /** The first keys, as many as it takes to tell the rows apart. */
    List<String> tellingKeys() {
        int count = 1;
        while (count < keys.size() && !tellApart(keys.subList(0, count))) {
            count++;
        }
        return keys.subList(0, count);
    }

    /** Returns whether no two rows have the same values for all these keys. */
    boolean tellApart(List<String> some) {
        Set<List<Object>> distinct = new HashSet<>();
        for (Map<String, Value> row : rows) {
            List<Object> values = new ArrayList<>();
            row.forEach((key, value) -> {
                if (some.contains(key)) {
                    values.add(value.value());
                }
            });
            distinct.add(values);
        }
        return distinct.size() == rows.size();
    }

    /** All combinations of the axes' rows; the last axis changes first. */
    static List<Map<String, Value>> product(List<SweepAxis> axes) {
        List<Map<String, Value>> product = List.of(Map.of());
        for (SweepAxis axis : axes) {
            List<Map<String, Value>> longer = new ArrayList<>();
            for (Map<String, Value> left : product) {
                for (Map<String, Value> right : axis.rows()) {
                    Map<String, Value> both = new LinkedHashMap<>(left);
                    both.putAll(right);
                    longer.add(both);
                }
            }
            product = longer;
        }
        return product;
    }
}
