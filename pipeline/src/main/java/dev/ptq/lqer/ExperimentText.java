package dev.ptq.lqer;

import dev.ptq.config.Problems;
import dev.ptq.config.TomlWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Builds the text of an experiment file: sections in order, each with its keys and comments. */
final class ExperimentText {
    private final List<Section> sections = new ArrayList<>();
    private final Problems warnings = new Problems();

    /** Adds an empty section at the end. */
    Section section(String header) {
        Section section = apart(header);
        add(section);
        return section;
    }

    /** Returns a section that is not placed yet. */
    Section apart(String header) {
        return new Section(header, warnings);
    }

    /** Places a section at the end. */
    void add(Section section) {
        sections.add(section);
    }

    /** Points for the user to check, each with its place in the LQER file. */
    List<String> warnings() {
        return warnings.messages();
    }

    /** Returns the file's text. */
    String toml() {
        return sections.stream()
                .filter(section -> !section.lines.isEmpty())
                .map(Section::toml)
                .collect(Collectors.joining("\n"));
    }

    /** A section under construction. A section without keys is shown without its header. */
    static final class Section {
        private final String header;
        private final Problems warnings;
        private final List<String> lines = new ArrayList<>();
        private boolean hasKeys;

        private Section(String header, Problems warnings) {
            this.header = header;
            this.warnings = warnings;
        }

        /** Writes a key. */
        void set(String key, Object value) {
            lines.add(TomlWriter.key(key) + " = " + TomlWriter.inline(value));
            hasKeys = true;
        }

        /** Writes a comment. */
        void remark(String comment) {
            String line = "# " + comment;
            if (!lines.contains(line)) {
                lines.add(line);
            }
        }

        /** Comments on a key of the LQER file, if it is there: its value, and what becomes of it. */
        void comment(LqerTable table, String key, String comment) {
            table.read(key);
            if (table.keys().contains(key)) {
                remark(table.path(key) + " = " + table.shown(key) + ": " + comment);
            }
        }

        /** Comments on each of these keys that is there. */
        void comment(LqerTable table, Map<String, String> comments) {
            table.keys().stream()
                    .filter(comments::containsKey)
                    .forEach(key -> comment(table, key, String.valueOf(comments.get(key))));
        }

        /** Puts the same comment on every key of a table. */
        void commentAll(LqerTable table, String comment) {
            table.keys().forEach(key -> comment(table, key, comment));
        }

        /** Comments on a key, and warns on the terminal too. */
        void warn(LqerTable table, String key, String comment) {
            table.read(key);
            boolean isValue = table.keys().contains(key) && !table.hasTable(key);
            String was = isValue ? " = " + table.shown(key) : "";
            remark("WARNING " + table.path(key) + was + ": " + comment);
            warnings.add(table.position(key), table.path(key) + was, comment);
        }

        private String toml() {
            String all = lines.stream().map(line -> line + "\n").collect(Collectors.joining());
            return (hasKeys && !header.isEmpty() ? header + "\n" : "") + all;
        }
    }
}
