package dev.ptq.lqer;

import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * A table's entry for the weights whose names match a pattern.
 *
 * @param pattern full-match regular expression, the key
 * @param entry the table under the key, or the sibling that it names, such as {@code "default"}
 */
record PatternEntry(String pattern, LqerTable entry) {
    /** Flags, group names and numbers, quotes: they would affect a joined expression. */
    private static final Pattern NOT_JOINABLE = Pattern.compile("\\(\\?(?![:=!])(?!<[=!])|\\\\[1-9kQ]");

    /**
     * The patterns of a table, in order.
     *
     * @param isPattern tells patterns from other keys, unless they are the names of entries
     */
    static List<PatternEntry> of(LqerTable table, Predicate<String> isPattern) {
        List<String> tables = table.keys().stream().filter(table::hasTable).toList();
        Set<String> names = new HashSet<>();
        names.add("default");
        table.keys().stream().filter(isPattern).forEach(key -> table.peek(key).ifPresent(names::add));
        List<PatternEntry> entries = new ArrayList<>();
        for (String key : table.keys()) {
            if (!isPattern.test(key) || (names.contains(key) && table.hasTable(key))) {
                continue;
            }
            requireExpression(table, key);
            Optional<String> named = table.peek(key);
            String name = named.orElse(key);
            named.ifPresent(read -> table.read(key));
            if (named.isPresent() && !tables.contains(name)) {
                table.problem(
                        key,
                        "expected the name of an entry beside it, one of " + tables + ", got " + TomlWriter.inline(name)
                                + Spelling.hint(Spelling.closest(name, tables)));
            } else {
                table.table(name).ifPresent(entry -> entries.add(new PatternEntry(key, entry)));
            }
        }
        return entries;
    }

    private static void requireExpression(LqerTable table, String key) {
        try {
            Pattern.compile(key);
        } catch (PatternSyntaxException e) {
            table.problem(key, "expected a regular expression as the key: " + e.getDescription());
        }
    }

    /** Joins the patterns into as few expressions as possible. */
    static List<String> joined(List<String> patterns) {
        boolean joinable = patterns.stream()
                .noneMatch(pattern -> NOT_JOINABLE.matcher(pattern).find());
        return joinable ? List.of(String.join("|", patterns)) : patterns;
    }
}
