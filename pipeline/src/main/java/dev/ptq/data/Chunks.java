package dev.ptq.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Cuts texts into chunks with the same number of tokens. */
public final class Chunks {
    private static final Logger log = LoggerFactory.getLogger(Chunks.class);

    /** LQER tokenizes with this many workers, whatever its config says. */
    private static final int LQER_WORKERS = 8;
    /** Rows that one of its workers joins at a time. */
    private static final int LQER_ROWS = 1000;

    /** Most texts have fewer characters per token. */
    private static final int CHARACTERS = 8;
    /** Tokens at the end of a text that might change if it went on. */
    private static final int SLACK = 64;

    private Chunks() {}

    /**
     * Joins all rows by two newlines, tokenizes them as one text, and cuts from the start; the remainder is dropped.
     */
    public static int[][] oneStream(List<String> rows, Tokenizer tokenizer, int length) {
        return cut(tokenizer.encode(String.join("\n\n", rows)), length).toArray(int[][]::new);
    }

    /**
     * Returns the first chunks of {@link #oneStream}, or all if there are fewer. Of a long text in many rows, only as
     * much as needed is tokenized.
     */
    public static int[][] firstOfStream(List<String> rows, Tokenizer tokenizer, int length, int count) {
        long wanted = (long) length * count + SLACK;
        int taken = 0;
        long characters = 0;
        for (long enough = wanted * CHARACTERS; ; enough *= 2) {
            while (taken < rows.size() && characters < enough) {
                characters += rows.get(taken).length() + 2;
                taken++;
            }
            int[] tokens = tokenizer.encode(String.join("\n\n", rows.subList(0, taken)));
            if (taken == rows.size() || tokens.length >= wanted) {
                return cut(tokens, length).stream().limit(count).toArray(int[][]::new);
            }
        }
    }

    /**
     * Joins all rows by two newlines, tokenizes them as one text, and cuts chunks out of it that do not overlap, at places
     * that the seed draws: every choice of places is as likely as any other. They come in random order.
     *
     * @return as many as were asked for, or as have room
     */
    public static int[][] drawnFromStream(List<String> rows, Tokenizer tokenizer, int length, int count, long seed) {
        int[] tokens = tokenizer.encode(String.join("\n\n", rows));
        int room = Math.min(count, tokens.length / length);
        int[] starts = starts(tokens.length, length, room, new SplittableRandom(seed));
        return Arrays.stream(starts)
                .mapToObj(start -> Arrays.copyOfRange(tokens, start, start + length))
                .toArray(int[][]::new);
    }

    /**
     * Draws places for chunks that do not overlap. With all of a chunk but its first token taken out, places are distinct
     * numbers; these are drawn by Floyd's algorithm.
     */
    static int[] starts(int tokens, int length, int count, SplittableRandom random) {
        int places = tokens - count * (length - 1);
        Set<Integer> drawn = new TreeSet<>();
        for (int last = places - count; last < places; last++) {
            int place = random.nextInt(last + 1);
            drawn.add(drawn.contains(place) ? last : place);
        }
        int[] starts = new int[count];
        int before = 0;
        for (int place : drawn) {
            starts[before] = place + before * (length - 1);
            before++;
        }
        for (int i = count - 1; i > 0; i--) {
            int other = random.nextInt(i + 1);
            int kept = starts[i];
            starts[i] = starts[other];
            starts[other] = kept;
        }
        return starts;
    }

    /**
     * Cuts as LQER's code does: the rows go to eight workers in contiguous shards; each joins and tokenizes at most
     * 1000 rows at a time, so each of these texts has its own special tokens and drops its own remainder.
     */
    public static int[][] inShards(List<String> rows, Tokenizer tokenizer, int length) {
        int workers = Math.min(LQER_WORKERS, rows.size());
        List<int[]> texts = new ArrayList<>();
        for (List<String> shard : split(rows, workers)) {
            for (int from = 0; from < shard.size(); from += LQER_ROWS) {
                List<String> part = shard.subList(from, Math.min(shard.size(), from + LQER_ROWS));
                texts.add(tokenizer.encode(String.join("\n\n", part)));
            }
        }
        List<int[]> chunks = new ArrayList<>();
        // the texts are shared out again among as many workers, and each cuts its own
        for (List<int[]> shard : split(texts, Math.min(LQER_WORKERS, texts.size()))) {
            int[] tokens = shard.stream().flatMapToInt(Arrays::stream).toArray();
            if (tokens.length < length) {
                log.warn("a shard of {} tokens is shorter than a chunk of {} and is dropped", tokens.length, length);
            }
            chunks.addAll(cut(tokens, length));
        }
        return chunks.toArray(int[][]::new);
    }

    private static <T> List<List<T>> split(List<T> items, int parts) {
        List<List<T>> shards = new ArrayList<>();
        for (int i = 0; i < parts; i++) {
            int size = items.size() / parts;
            int longer = items.size() % parts;
            int from = size * i + Math.min(i, longer);
            shards.add(items.subList(from, from + size + (i < longer ? 1 : 0)));
        }
        return shards;
    }

    private static List<int[]> cut(int[] tokens, int length) {
        List<int[]> chunks = new ArrayList<>();
        for (int from = 0; from + length <= tokens.length; from += length) {
            chunks.add(Arrays.copyOfRange(tokens, from, from + length));
        }
        return chunks;
    }
}
