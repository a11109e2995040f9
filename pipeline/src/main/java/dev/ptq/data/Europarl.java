package dev.ptq.data;

import java.util.List;
import java.util.stream.Stream;

/**
 * Parses a file of parliamentary debates: one piece per line, with title, date and text separated by tabs, in 21
 * languages.
 */
final class Europarl {
    private Europarl() {}

    /** Returns the English pieces, keyed by the day of the sitting, as neighbouring pieces are from one debate. */
    static List<CorpusDocument> documents(Stream<String> lines) {
        return lines.map(line -> line.split("\t", -1))
                .filter(parts -> English.is(parts[2]))
                .map(parts -> new CorpusDocument(
                        parts[1], parts[2].replaceAll("\\h+", " ").strip()))
                .toList();
    }
}
