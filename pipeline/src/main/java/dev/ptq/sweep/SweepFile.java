package dev.ptq.sweep;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import dev.ptq.stage.ExperimentKeys;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Turns a sweep file into points; the format is in {@code sweeps/README.md}. */
final class SweepFile {
    private static final int MOST_POINTS = 10_000;
    private static final String TWICE = "is there already, written in another way";

    private static final Key<Object> VALUE =
            Key.value("KEY", "any but dates and times").says("the value that it gives to the dotted key of a config");

    private static final Key<List<Object>> LIST =
            Key.values("KEY").says("the values that it gives to the dotted key of a config, one after the other");

    private static final Section VALUES = Section.ofNames("values", VALUE);

    private static final Key<ConfigTable> ALTERNATIVE =
            Key.table("NAME", VALUES).says("keys with a value each, as for a point");

    private static final Key<ConfigTable> ALTERNATIVES =
            Key.table("NAME", Section.ofNames("alternatives", ALTERNATIVE)).says("an axis of named alternatives");

    private static final Key<Optional<ConfigTable>> AXES = Key.table(
                    "axes", Section.ofNames("axes", LIST, ALTERNATIVES))
            .optional("none")
            .says("each key has a list of values, or is the name of an axis of alternatives: a table with a table of"
                    + " keys for each of them, by its name. Every value of every axis is combined with all of the"
                    + " others");

    private static final Key<List<ConfigTable>> ZIP = Key.tables("zip", Section.ofNames("zip", LIST))
            .says("lists of equal length that are walked together: one axis of several keys");

    private static final Key<List<ConfigTable>> EXCLUDE = Key.tables("exclude", VALUES)
            .says("keys of axes with a value each. A point of the axes that has all of them is left out");

    private static final Key<List<ConfigTable>> INCLUDE = Key.tables("include", VALUES)
            .says("keys with a value each, as in a GitHub Actions matrix. Points of the axes (less the excluded)"
                    + " that have the values it gives for keys of axes get its other keys, all points if it has no"
                    + " key of an axis; of two includes the later one wins. If no point has these values, it is a"
                    + " point of its own, and must then have a value for every axis that has more than one");

    private static final Key<ConfigTable> POINT = Key.table("NAME", VALUES).says("what this point changes");

    private static final Key<Optional<ConfigTable>> POINTS = Key.table("points", Section.ofNames("points", POINT))
            .optional("none")
            .says("`[points.NAME]` is a point of that name, which has nothing to do with the axes; an empty table is"
                    + " the base config as it is");

    /** The keys of a sweep file. */
    static final Section SECTION = Section.of("sweep", AXES, ZIP, EXCLUDE, INCLUDE, POINTS);

    private final ConfigTable root;
    private final List<SweepAxis> axes = new ArrayList<>();
    private final Map<String, SweepAxis> axisOf = new HashMap<>();

    /** Whether axes could not be read, so that matches with them cannot be checked. */
    private boolean broken;

    /**
     * A point without a name.
     *
     * @param values by key
     * @param naming keys that make up its name
     * @param table its place in the file; the whole file for a point of the axes
     */
    private record Draft(Map<String, Value> values, List<String> naming, ConfigTable table) {
        boolean has(Map<String, Value> some) {
            return some.values().stream().allMatch(value -> {
                Value own = values.get(value.key());
                return own != null && own.value().equals(value.value());
            });
        }

        PointNames.Parts parts() {
            List<PointNames.Part> shown = new ArrayList<>();
            for (String key : naming) {
                Value value = values.get(key);
                if (value != null) {
                    shown.add(
                            value.isChoice()
                                    ? new PointNames.Part(List.of(), value.value())
                                    : PointNames.Part.of(value.assignment()));
                }
            }
            return new PointNames.Parts(
                    shown, values.values().stream().map(Value::assignment).toList());
        }
    }

    private SweepFile(ConfigTable root) {
        this.root = root;
    }

    /**
     * The points of a sweep, in order.
     *
     * @throws dev.ptq.config.ConfigException with all problems, if there are any
     */
    static List<Point> read(Path file) throws IOException {
        return read(Optional.of(file), List.of());
    }

    /**
     * The same with more axes, or with these alone.
     *
     * @param axes a list of values each
     */
    static List<Point> read(Optional<Path> file, List<Assignment> axes) throws IOException {
        ConfigFiles files = file.isPresent()
                ? ConfigFiles.single(file.get())
                : new ConfigFiles(List.of(new ConfigFiles.Content(Path.of("--axis"), "")));
        List<Assignment> inAxes = new ArrayList<>();
        for (Assignment axis : axes) {
            inAxes.add(new Assignment(List.of("axes", axis.key()), axis.value(), axis.position()));
        }
        ConfigTable root = ConfigTable.read(files, List.of(), inAxes, SECTION);
        List<Point> points = new SweepFile(root).points();
        root.finish();
        return points;
    }

    private List<Point> points() {
        root.read(AXES).ifPresent(this::readAxes);
        root.read(ZIP).forEach(this::readZip);
        List<Draft> drafts = exclude(product());
        drafts.addAll(include(drafts));
        List<String> names = PointNames.of(drafts.stream().map(Draft::parts).toList());
        Set<String> taken = new HashSet<>();
        List<Point> points = new ArrayList<>();
        for (int i = 0; i < drafts.size(); i++) {
            if (!taken.add(names.get(i).toLowerCase(Locale.ROOT))) {
                drafts.get(i).table().problem("is the point " + names.get(i) + ", which is there already");
            }
            points.add(point(names.get(i), drafts.get(i).values()));
        }
        root.read(POINTS).ifPresent(table -> points.addAll(namedPoints(table, taken)));
        if (points.size() > MOST_POINTS) {
            root.problem("makes " + points.size() + " points, expected at most " + MOST_POINTS);
        }
        if (points.isEmpty() && !broken) {
            root.problem("no point is left; expected some of [axes], [[zip]], [[include]] and [points.NAME]");
        }
        return points;
    }

    private void readAxes(ConfigTable table) {
        if (table.keys().isEmpty()) {
            table.problem("expected at least one key with a list of values");
        }
        for (String written : table.keys()) {
            boolean isName =
                    Assignment.path(written).filter(path -> path.size() == 1).isPresent()
                            && !ExperimentKeys.sections().contains(written);
            if (isName && table.written(LIST.named(written)).orElse("") instanceof Map<?, ?>) {
                readAlternatives(table, written);
                continue;
            }
            List<Object> list = table.read(LIST.named(written));
            List<Map<String, Value>> rows = new ArrayList<>();
            for (Value value : values(table, written, list)) {
                rows.add(Map.of(value.key(), value));
            }
            add(table, rows);
        }
    }

    private void readAlternatives(ConfigTable table, String axis) {
        ConfigTable alternatives = table.read(ALTERNATIVES.named(axis));
        if (alternatives.keys().isEmpty()) {
            table.problem(axis, "expected a table of keys for each alternative, by its name");
        }
        List<Map<String, Value>> rows = new ArrayList<>();
        for (String name : alternatives.keys()) {
            Map<String, Value> row = new LinkedHashMap<>();
            Assignment choice = new Assignment(List.of(axis), name, alternatives.position(name));
            row.put(choice.key(), new Value(choice, alternatives, name, true));
            row.putAll(values(alternatives.read(ALTERNATIVE.named(name))));
            rows.add(row);
        }
        add(table, rows);
    }

    private void readZip(ConfigTable table) {
        List<List<Value>> lists = new ArrayList<>();
        for (String written : table.keys()) {
            lists.add(values(table, written, table.read(LIST.named(written))));
        }
        if (lists.isEmpty()) {
            table.problem("expected at least one key with a list of values");
            return;
        }
        List<Value> first = lists.get(0);
        boolean even = true;
        for (List<Value> list : lists) {
            if (!first.isEmpty() && !list.isEmpty() && list.size() != first.size()) {
                list.get(0)
                        .problem("expected " + first.size() + " values, as many as "
                                + first.get(0).key() + " has, got " + list.size());
            }
            even &= list.size() == first.size();
        }
        List<Map<String, Value>> rows = new ArrayList<>();
        for (int i = 0; even && i < first.size(); i++) {
            Map<String, Value> row = new LinkedHashMap<>();
            for (List<Value> list : lists) {
                if (row.putIfAbsent(list.get(i).key(), list.get(i)) != null) {
                    list.get(i).problem(TWICE);
                }
            }
            rows.add(row);
        }
        add(table, rows);
    }

    /** Adds an axis unless something is wrong with it. */
    private void add(ConfigTable table, List<Map<String, Value>> rows) {
        if (rows.isEmpty()) {
            broken = true;
            return;
        }
        SweepAxis axis = SweepAxis.of(rows);
        Map<String, Value> firsts = new LinkedHashMap<>();
        rows.forEach(row -> row.forEach(firsts::putIfAbsent));
        for (Value value : firsts.values()) {
            if (axisOf.putIfAbsent(value.key(), axis) != null) {
                value.problem("is on another axis already");
                broken = true;
            }
        }
        if (!axis.tellApart(axis.keys())) {
            String message = "has the same values twice";
            if (axis.keys().size() == 1) {
                rows.get(0).values().forEach(value -> value.problem(message));
            } else {
                table.problem(message);
            }
            broken = true;
        }
        axes.add(axis);
    }

    private List<Draft> product() {
        BigInteger size = axes.isEmpty() || broken ? BigInteger.ZERO : BigInteger.ONE;
        for (SweepAxis axis : axes) {
            size = size.multiply(BigInteger.valueOf(axis.rows().size()));
        }
        if (size.compareTo(BigInteger.valueOf(MOST_POINTS)) > 0) {
            String shown = size.bitLength() < Long.SIZE ? size.toString() : "more than " + Long.MAX_VALUE;
            root.problem("the axes make " + shown + " points, expected at most " + MOST_POINTS);
            broken = true;
        }
        List<Draft> drafts = new ArrayList<>();
        if (size.signum() > 0 && !broken) {
            List<SweepAxis> naming = axes.stream().anyMatch(SweepAxis::varies)
                    ? axes.stream().filter(SweepAxis::varies).toList()
                    : axes;
            List<String> keys =
                    naming.stream().flatMap(axis -> axis.tellingKeys().stream()).toList();
            for (Map<String, Value> values : SweepAxis.product(axes)) {
                drafts.add(new Draft(values, keys, root));
            }
        }
        return drafts;
    }

    /** Leaves out the points that an {@code [[exclude]]} matches. */
    private List<Draft> exclude(List<Draft> product) {
        List<Draft> left = new ArrayList<>(product);
        for (ConfigTable table : root.read(EXCLUDE)) {
            Map<String, Value> given = values(table);
            if (given.isEmpty()) {
                table.problem("expected at least one key");
                continue;
            }
            List<Value> odd =
                    given.values().stream().filter(value -> !isOnAxis(value)).toList();
            if (odd.isEmpty() && !broken && product.stream().noneMatch(draft -> draft.has(given))) {
                table.problem("matches no point");
            }
            left.removeIf(draft -> draft.has(given));
        }
        return left;
    }

    /** Returns whether an axis has the value; if not, reports a problem. */
    private boolean isOnAxis(Value value) {
        SweepAxis axis = axisOf.get(value.key());
        if (axis == null) {
            if (!broken) {
                value.problem("no axis has this key" + Spelling.hint(Spelling.closest(value.key(), axisOf.keySet())));
            }
            return false;
        }
        Set<Object> values = new LinkedHashSet<>();
        for (Map<String, Value> row : axis.rows()) {
            Optional.ofNullable(row.get(value.key())).map(Value::value).ifPresent(values::add);
        }
        if (!values.contains(value.value())) {
            value.problem("expected one of " + TomlWriter.inline(List.copyOf(values)) + ", got "
                    + TomlWriter.inline(value.value()));
            return false;
        }
        return true;
    }

    /** Adds keys to the points that an {@code [[include]]} matches; returns those that match none, as new points. */
    private List<Draft> include(List<Draft> drafts) {
        List<Draft> more = new ArrayList<>();
        for (ConfigTable table : root.read(INCLUDE)) {
            Map<String, Value> given = values(table);
            Map<String, Value> conditions = new LinkedHashMap<>(given);
            conditions.keySet().retainAll(axisOf.keySet());
            List<Draft> matched =
                    drafts.stream().filter(draft -> draft.has(conditions)).toList();
            if (given.isEmpty()) {
                table.problem("expected at least one key");
            } else if (matched.isEmpty()) {
                if (!broken) {
                    ownPoint(table, given).ifPresent(more::add);
                }
            } else if (conditions.size() == given.size()) {
                table.problem("adds nothing: a point with these values is there already");
            } else {
                given.keySet().removeAll(conditions.keySet());
                matched.forEach(draft -> draft.values().putAll(given));
            }
        }
        return more;
    }

    /** The new point of an {@code [[include]]}; empty, with a problem, if it lacks a value for an axis. */
    private Optional<Draft> ownPoint(ConfigTable table, Map<String, Value> given) {
        Map<String, Value> values = new LinkedHashMap<>();
        Set<String> naming = new LinkedHashSet<>();
        List<String> missing = new ArrayList<>();
        for (SweepAxis axis : axes) {
            if (axis.hasAlternatives()) {
                String name = axis.keys().get(0);
                Value choice = given.get(name);
                Optional<Map<String, Value>> row = choice == null
                        ? Optional.of(axis.rows().get(0)).filter(only -> !axis.varies())
                        : axis.alternative(choice.value());
                if (row.isPresent()) {
                    values.putAll(row.get());
                } else if (choice == null) {
                    missing.add(name);
                } else if (!isOnAxis(choice)) {
                    return Optional.empty();
                }
                given.remove(name);
            } else {
                axis.keys().stream()
                        .filter(key -> axis.varies() && !given.containsKey(key))
                        .forEach(missing::add);
                values.putAll(axis.rows().get(0));
            }
            naming.addAll(axis.varies() ? axis.tellingKeys() : List.of());
        }
        if (!missing.isEmpty()) {
            table.problem("matches no point; to be one of its own it needs a value for " + String.join(", ", missing));
            return Optional.empty();
        }
        values.putAll(given);
        given.keySet().stream().filter(key -> !varies(key)).forEach(naming::add);
        return Optional.of(new Draft(values, List.copyOf(naming), table));
    }

    private boolean varies(String key) {
        SweepAxis axis = axisOf.get(key);
        return axis != null && axis.varies();
    }

    private List<Point> namedPoints(ConfigTable table, Set<String> taken) {
        List<Point> points = new ArrayList<>();
        for (String name : table.keys()) {
            Map<String, Value> values = values(table.read(POINT.named(name)));
            PointNames.problem(name).ifPresent(problem -> table.problem(name, problem));
            if (!taken.add(name.toLowerCase(Locale.ROOT))) {
                table.problem(name, "there is a point of that name already");
            }
            points.add(point(name, values));
        }
        return points;
    }

    /** Sets a key before any key inside it, wherever the two are written. */
    private static Point point(String name, Map<String, Value> values) {
        Map<String, String> chosen = new LinkedHashMap<>();
        values.values().stream()
                .filter(Value::isChoice)
                .forEach(value -> chosen.put(value.key(), (String) value.value()));
        return new Point(
                name,
                chosen,
                values.values().stream()
                        .filter(value -> !value.isChoice())
                        .map(Value::assignment)
                        .sorted(Comparator.comparing(
                                assignment -> assignment.path().size()))
                        .toList());
    }

    /** The keys and values of a table by key. */
    private static Map<String, Value> values(ConfigTable table) {
        Map<String, Value> values = new LinkedHashMap<>();
        for (String written : table.keys()) {
            Object value = table.read(VALUE.named(written));
            for (Value each : values(table, written, List.of(value))) {
                if (each.assignment().path().size() == 1 && value instanceof Map<?, ?> map && !map.isEmpty()) {
                    each.problem("expected a value, got a table; a dotted key stands in quotes here");
                }
                if (values.putIfAbsent(each.key(), each) != null) {
                    each.problem(TWICE);
                }
            }
        }
        return values;
    }

    /** The values of a list under a config's key; empty, with a problem, if the key is malformed. */
    private static List<Value> values(ConfigTable table, String written, List<Object> list) {
        Optional<List<String>> path = Assignment.path(written);
        if (path.isEmpty()) {
            table.problem(written, "expected the dotted key of a config, unusual parts of it in quotes");
            return List.of();
        }
        return list.stream()
                .map(value -> new Value(new Assignment(path.get(), value, table.position(written)), table, written))
                .toList();
    }
}
