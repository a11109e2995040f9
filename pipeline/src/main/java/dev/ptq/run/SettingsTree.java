package dev.ptq.run;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * Parsed canonical text, for finding differences between two texts.
 *
 * @param type of a record, {@code []} of a list with records in it, and nothing of a plain value
 * @param text canonical
 * @param shown shorter form for people
 * @param parts of a record by component, of a list by index
 */
record SettingsTree(String type, String text, String shown, Map<String, SettingsTree> parts) {
    private static final int LONGEST = 80;

    static SettingsTree plain(String text, String shown) {
        return new SettingsTree("", text, shown, Map.of());
    }

    /**
     * The differences between two settings.
     *
     * @param was the other's settings
     * @return {@code 256, was 128} by dotted key, in order
     */
    static Map<String, String> differences(SettingsTree now, SettingsTree was) {
        Map<String, String> found = new LinkedHashMap<>();
        compare("", now, was, found);
        return Collections.unmodifiableMap(found);
    }

    private static void compare(String key, SettingsTree now, SettingsTree was, Map<String, String> found) {
        if (now.type.isEmpty() || !now.type.equals(was.type)) {
            if (!now.text.equals(was.text)) {
                found.put(key.isEmpty() ? "settings" : key, shortened(now) + ", was " + shortened(was));
            }
            return;
        }
        Set<String> names = new LinkedHashSet<>(now.parts.keySet());
        names.addAll(was.parts.keySet());
        SettingsTree absent = plain("", "not there");
        for (String name : names) {
            compare(
                    key.isEmpty() ? name : key + "." + name,
                    Objects.requireNonNullElse(now.parts.get(name), absent),
                    Objects.requireNonNullElse(was.parts.get(name), absent),
                    found);
        }
    }

    private static String shortened(SettingsTree tree) {
        String line = tree.shown.replaceAll("\\p{Cc}", " "); // canonical text has none, but a damaged record may
        return line.length() <= LONGEST ? line : line.substring(0, LONGEST) + "…";
    }
}
