package dev.ptq.sweep;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.Assignment;
import dev.ptq.config.TomlWriter;
import dev.ptq.run.Manifest;
import dev.ptq.run.Runs;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Makes names of points that are unique and can be directories: {@code rank-8_weight.bits-3}. */
final class PointNames {
    /** The longest name; leaves room for a tag before it and {@code .partial} after it. */
    static final int LONGEST = 100;

    /** Reserved file names: in a sweep's directory they would be in the way, or make it look like a run. */
    private static final Set<String> TAKEN = Set.of(
            RunFiles.SWEEP, RunFiles.SWEEP_FILE, RunFiles.LAUNCH, Manifest.FILE, RunFiles.METRICS, RunFiles.RESOLVED);

    private static final int DIGEST_DIGITS = 8;
    private static final Pattern OTHER_CHARACTERS = Pattern.compile("[^A-Za-z0-9._-]+");
    private static final Pattern INDEX = Pattern.compile("[0-9]+");

    private PointNames() {}

    /** The problem with a name given to a point, if any. */
    static Optional<String> problem(String name) {
        if (TAKEN.contains(name.toLowerCase(Locale.ROOT))) {
            return Optional.of("is the name of a file of a sweep or a run; take another");
        }
        return name.length() > LONGEST
                        || name.contains("/")
                        || Runs.tagProblem(name).isPresent()
                ? Optional.of(
                        "expected at most " + LONGEST + " letters, digits, '.', '_' and '-', starting with a letter"
                                + " or digit and not ending in .partial")
                : Optional.empty();
    }

    /**
     * The parts of a point's name.
     *
     * @param shown in the name
     * @param all of the point
     */
    record Parts(List<Part> shown, List<Assignment> all) {}

    /**
     * A part of a name.
     *
     * @param path of the key; empty for a value that stands alone
     */
    record Part(List<String> path, Object value) {
        static Part of(Assignment assignment) {
            return new Part(assignment.path(), assignment.value());
        }
    }

    /** A name for each point; only equal points have equal names, upper and lower case alike. */
    static List<String> of(List<Parts> points) {
        Map<List<String>, String> keys = shortKeys(points.stream()
                .flatMap(point -> point.shown().stream())
                .map(Part::path)
                .filter(path -> !path.isEmpty())
                .collect(Collectors.toCollection(LinkedHashSet::new)));
        List<String> names = new ArrayList<>();
        Map<String, Set<String>> sharing = new HashMap<>();
        for (Parts point : points) {
            String name = point.shown().stream()
                    .map(each -> (each.path().isEmpty() ? "" : keys.get(each.path()) + "-") + readable(each.value()))
                    .collect(Collectors.joining("_"));
            names.add(name);
            sharing.computeIfAbsent(name.toLowerCase(Locale.ROOT), lower -> new HashSet<>())
                    .add(exact(point));
        }
        for (int i = 0; i < names.size(); i++) {
            String name = names.get(i);
            boolean shared = sharing.getOrDefault(name.toLowerCase(Locale.ROOT), Set.of())
                            .size()
                    > 1;
            if (shared || problem(name).isPresent()) {
                names.set(i, withDigest(name, exact(points.get(i))));
            }
        }
        return names;
    }

    /** The shortest ending of each key that no other key shares and that is not a bare index. */
    private static Map<List<String>, String> shortKeys(Set<List<String>> paths) {
        Map<List<String>, String> keys = new HashMap<>();
        for (List<String> path : paths) {
            int count = 1;
            while (count < path.size() && !tells(last(path, count), path, paths)) {
                count++;
            }
            keys.put(path, readable(String.join(".", last(path, count))));
        }
        return keys;
    }

    private static boolean tells(List<String> suffix, List<String> path, Set<List<String>> paths) {
        return !INDEX.matcher(suffix.get(0)).matches()
                && paths.stream()
                        .filter(other -> !other.equals(path))
                        .noneMatch(other -> other.size() >= suffix.size()
                                && last(other, suffix.size()).equals(suffix));
    }

    private static List<String> last(List<String> path, int count) {
        return path.subList(path.size() - count, path.size());
    }

    /** A value in characters allowed in names; others become hyphens. */
    private static String readable(Object value) {
        String text;
        if (value instanceof List<?> items) {
            text = items.stream().map(PointNames::readable).collect(Collectors.joining("-"));
        } else if (value instanceof Map<?, ?> table) {
            text = table.entrySet().stream()
                    .map(entry -> readable(entry.getKey()) + "-" + readable(entry.getValue()))
                    .collect(Collectors.joining("-"));
        } else if (value instanceof String string) {
            text = OTHER_CHARACTERS.matcher(string).replaceAll("-");
            text = text.replaceAll("^[-._]+|[-._]+$", "");
        } else {
            text = TomlWriter.inline(value);
        }
        return text.isEmpty() ? "none" : text;
    }

    private static String exact(Parts point) {
        return point.all().stream().map(Assignment::toString).collect(Collectors.joining("\n"));
    }

    private static String withDigest(String name, String exact) {
        String digest;
        try {
            digest = HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(exact.getBytes(StandardCharsets.UTF_8)))
                    .substring(0, DIGEST_DIGITS);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
        return name.substring(0, Math.min(name.length(), LONGEST - 1 - DIGEST_DIGITS)) + "-" + digest;
    }
}
