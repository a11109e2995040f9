package dev.ptq.evaluate.task;

import dev.ptq.config.ConfigException;
import dev.ptq.evaluate.PythonText;
import dev.ptq.evaluate.Request;
import dev.ptq.evaluate.RollingWindows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Encodes documents as requests. */
final class Encoder {
    private final TextEncoding encoding;
    private final int maxTokens;
    private final boolean scoredBos;

    /** The last context, kept with its ids for the choices that share it. */
    private String lastContext = "";

    private int[] lastIds = new int[0];

    Encoder(TextEncoding encoding, int maxTokens, TasksSettings settings) {
        this.encoding = encoding;
        this.maxTokens = maxTokens;
        this.scoredBos = settings.quirks().contains(Quirk.SCORED_BOS);
    }

    /** A document's requests. */
    static final class Encoded {
        private final List<Request> requests = new ArrayList<>();
        private int truncated;
        private int alone;

        /** Returns one request per context and continuation; for a whole text, one per window. */
        List<Request> requests() {
            return List.copyOf(requests);
        }

        /** Returns the number of requests that lost their beginning. */
        int truncated() {
            return truncated;
        }

        /** Returns the number of requests whose continuation was encoded without its context. */
        int alone() {
            return alone;
        }

        long tokens() {
            return requests.stream().mapToLong(request -> request.ids().length).sum();
        }
    }

    /**
     * Encodes a document.
     *
     * @throws ConfigException if a continuation is empty, or longer than the model
     */
    Encoded encode(Document document) {
        Encoded encoded = new Encoded();
        try {
            if (document.task().scoring() == Scoring.ROLLING) {
                addWindows(document.asked().get(0).continuation(), encoded);
            } else {
                document.asked().forEach(asked -> add(asked, encoded));
            }
        } catch (ConfigException e) {
            throw new ConfigException(document.label() + ": " + e.getMessage());
        }
        return encoded;
    }

    private void add(TextRequest asked, Encoded encoded) {
        // white space belongs to the word that follows it
        String context = PythonText.stripEnd(asked.context());
        String continuation = asked.context().substring(context.length()) + asked.continuation();
        int[] before = context.isEmpty() ? new int[0] : context(context);
        if (before.length == 0) {
            addWithoutContext(continuation, encoded);
            return;
        }
        int[] whole = encoding.encode(context + continuation);
        if (whole.length > before.length) {
            add(before, Arrays.copyOfRange(whole, before.length, whole.length), continuation, encoded);
        } else {
            add(before, encoding.encodePlain(continuation), continuation, encoded);
            encoded.alone++;
        }
    }

    private int[] context(String context) {
        if (!context.equals(lastContext)) {
            lastIds = encoding.encode(context);
            lastContext = context;
        }
        return lastIds;
    }

    private void addWithoutContext(String continuation, Encoded encoded) {
        int[] ids = encoding.encodePlain(continuation);
        int own = ids.length > 0 && ids[0] == encoding.prefix() ? 1 : 0;
        add(new int[] {encoding.prefix()}, Arrays.copyOfRange(ids, own, ids.length), continuation, encoded);
    }

    private void add(int[] context, int[] continuation, String text, Encoded encoded) {
        if (continuation.length == 0) {
            throw new ConfigException("expected a continuation to score, got \"" + text + "\", which has no tokens");
        }
        if (continuation.length > maxTokens) {
            throw new ConfigException("expected a continuation of at most " + maxTokens
                    + " tokens, as many as the model takes, got " + continuation.length);
        }
        int[] ids = IntStream.concat(Arrays.stream(context), Arrays.stream(continuation))
                .toArray();
        int cut = Math.max(0, ids.length - maxTokens - 1);
        encoded.requests.add(new Request(Arrays.copyOfRange(ids, cut, ids.length), continuation.length));
        encoded.truncated += cut > 0 ? 1 : 0;
    }

    private void addWindows(String text, Encoded encoded) {
        int[] tokens = scoredBos ? encoding.encode(text) : encoding.encodePlain(text);
        encoded.requests.addAll(RollingWindows.of(encoding.prefix(), tokens, maxTokens));
    }
}
