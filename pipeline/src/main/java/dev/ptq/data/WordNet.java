package dev.ptq.data;

import java.util.List;
import java.util.stream.Stream;

/** Parses the database files of WordNet: a licence in indented lines, then one synset per line. */
final class WordNet {
    private WordNet() {}

    /**
     * Returns the gloss of each synset, keyed by part of speech and offset, as synsets are named: {@code noun
     * 00001740}.
     */
    static List<CorpusDocument> documents(String partOfSpeech, Stream<String> lines) {
        return lines.filter(line -> !line.startsWith(" "))
                .map(line -> new CorpusDocument(
                        partOfSpeech + " " + line.substring(0, line.indexOf(' ')),
                        line.substring(line.indexOf('|') + 1).strip()))
                .toList();
    }
}
