package dev.ptq.data;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Parses a novel in plain text: hard line breaks, blank lines between paragraphs, a heading above each chapter. */
final class Dickens {
    private static final Pattern HEADING = Pattern.compile("CHAPTER (\\d+)");
    private static final Pattern BETWEEN_CHAPTERS = Pattern.compile("^(?=CHAPTER \\d+$)", Pattern.MULTILINE);
    private static final Pattern BETWEEN_PARAGRAPHS = Pattern.compile("\n{2,}");

    private Dickens() {}

    /** Returns the chapters with their headings, keyed by number, one paragraph per line, without the title page. */
    static List<CorpusDocument> documents(Stream<String> lines) {
        String book = lines.map(String::strip).collect(Collectors.joining("\n"));
        List<CorpusDocument> chapters = new ArrayList<>();
        for (String chapter : BETWEEN_CHAPTERS.splitAsStream(book).toList()) {
            Matcher heading = HEADING.matcher(chapter);
            if (heading.lookingAt()) {
                chapters.add(new CorpusDocument(heading.group(1), paragraphs(chapter)));
            }
        }
        return chapters;
    }

    private static String paragraphs(String chapter) {
        return BETWEEN_PARAGRAPHS
                .splitAsStream(chapter)
                .map(paragraph -> paragraph.replaceAll("\\s+", " ").strip())
                .filter(paragraph -> !paragraph.isEmpty())
                .collect(Collectors.joining("\n"));
    }
}
