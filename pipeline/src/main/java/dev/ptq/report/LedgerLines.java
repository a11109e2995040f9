package dev.ptq.report;

import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** The ledger of one run for a terminal: a line for each event and the method or stage to which it happened. */
public final class LedgerLines {
    private LedgerLines() {}

    /** Renders the entries; nothing where there are none. */
    public static String render(List<LedgerEntry> ledger) {
        Map<LedgerEvent, Map<String, List<LedgerEntry>>> kinds = new TreeMap<>(ledger.stream()
                .collect(Collectors.groupingBy(
                        LedgerEntry::event,
                        Collectors.groupingBy(LedgerEntry::source, LinkedHashMap::new, Collectors.toList()))));
        StringBuilder text = new StringBuilder();
        kinds.forEach((event, sources) -> sources.forEach((source, entries) -> {
            LedgerEntry first = entries.get(0);
            text.append("ledger: ")
                    .append(source)
                    .append(": ")
                    .append(event.plural())
                    .append(": ")
                    .append(entries.size())
                    .append(", such as ")
                    .append(first.place())
                    .append(": ")
                    .append(first.note())
                    .append("; ")
                    .append(event.remedy())
                    .append(System.lineSeparator());
        }));
        return text.toString();
    }
}
