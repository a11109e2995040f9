package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** With a tokenizer of bytes, so that every chunk can be told beforehand. */
class ChunksTest {
    @TempDir
    static Path folder;

    private static Tokenizer tokenizer;

    @BeforeAll
    static void open() throws IOException {
        tokenizer = Tokenizer.open(
                SyntheticModel.llama().vocabulary(259).tokenizer().write(folder));
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void oneStreamJoinsRowsAndDropsTheRest() {
        int[][] chunks = Chunks.oneStream(List.of("ab", "", "c"), tokenizer, 3);

        // <s> a b \n \n \n \n c, of which two are left over
        assertThat(chunks).isDeepEqualTo(new int[][] {{1, 3 + 'a', 3 + 'b'}, {13, 13, 13}});
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 50, 124, 131})
    void theFirstOfAStreamAreTheSame(int count) {
        List<String> rows =
                IntStream.range(0, 400).mapToObj(i -> "row".repeat(i % 2) + i).toList();
        int[][] all = Chunks.oneStream(rows, tokenizer, 20);

        assertThat(all).hasDimensions(124, 20);
        assertThat(Chunks.firstOfStream(rows, tokenizer, 20, count))
                .isDeepEqualTo(Arrays.copyOf(all, Math.min(count, all.length)));
    }

    @Test
    void aTextShorterThanOneChunkGivesNone() {
        assertThat(Chunks.oneStream(List.of("ab"), tokenizer, 4)).isEmpty();
        assertThat(Chunks.inShards(List.of("ab"), tokenizer, 4)).isEmpty();
        assertThat(Chunks.inShards(List.of(), tokenizer, 4)).isEmpty();
    }

    /** Each of three rows has a worker, a start token and a tail of its own. */
    @Test
    void fewerRowsThanWorkersAreAShardEach() {
        int[][] chunks = Chunks.inShards(List.of("abcd", "e", "fg"), tokenizer, 3);

        assertThat(chunks).isDeepEqualTo(new int[][] {{1, 3 + 'a', 3 + 'b'}, {1, 3 + 'f', 3 + 'g'}});
    }

    /** Nineteen rows are 3 + 3 + 3 + 2 + 2 + 2 + 2 + 2. */
    @Test
    void theFirstShardsTakeTheRowsThatAreOver() {
        List<String> rows = IntStream.range(0, 19)
                .mapToObj(i -> String.valueOf((char) ('a' + i)))
                .toList();

        int[][] chunks = Chunks.inShards(rows, tokenizer, 5);

        // a shard of three is <s> x \n \n y | \n \n z, one of two exactly a chunk
        assertThat(chunks).hasDimensions(8, 5);
        int[] firsts = {'a', 'd', 'g', 'j', 'l', 'n', 'p', 'r'};
        for (int i = 0; i < 8; i++) {
            assertThat(chunks[i]).containsExactly(1, 3 + firsts[i], 13, 13, 3 + firsts[i] + 1);
        }
    }

    @Test
    void aShardOfMoreThanAThousandRowsIsTokenizedInParts() {
        int count = 8 * 1000 + 3;
        List<String> rows = IntStream.range(0, count)
                .mapToObj(i -> String.valueOf((char) ('a' + i % 26)))
                .toList();
        int length = 100;

        assertThat(Chunks.inShards(rows, tokenizer, length)).isDeepEqualTo(slowly(rows, length));
        List<String> more = IntStream.range(0, 17_500)
                .mapToObj(i -> String.valueOf((char) ('a' + i % 23)))
                .toList();
        assertThat(Chunks.inShards(more, tokenizer, length)).isDeepEqualTo(slowly(more, length));
    }

    /** The rules as they are told: eight shards of rows, texts of 1000 rows, eight shards of texts, a tail each. */
    private static int[][] slowly(List<String> rows, int length) {
        List<List<Integer>> texts = new ArrayList<>();
        for (int worker = 0; worker < 8; worker++) {
            int from = worker * (rows.size() / 8) + Math.min(worker, rows.size() % 8);
            int to = from + rows.size() / 8 + (worker < rows.size() % 8 ? 1 : 0);
            for (int first = from; first < to; first += 1000) {
                List<Integer> text = new ArrayList<>(List.of(1));
                for (int row = first; row < Math.min(to, first + 1000); row++) {
                    if (row > first) {
                        text.addAll(List.of(13, 13));
                    }
                    for (byte b : rows.get(row).getBytes(StandardCharsets.UTF_8)) {
                        text.add(3 + (b & 0xff));
                    }
                }
                texts.add(text);
            }
        }
        List<int[]> chunks = new ArrayList<>();
        int next = 0;
        for (int worker = 0; worker < 8; worker++) {
            int count = texts.size() / 8 + (worker < texts.size() % 8 ? 1 : 0);
            List<Integer> tokens = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                tokens.addAll(texts.get(next++));
            }
            for (int from = 0; from + length <= tokens.size(); from += length) {
                chunks.add(tokens.subList(from, from + length).stream()
                        .mapToInt(Integer::intValue)
                        .toArray());
            }
        }
        return chunks.toArray(int[][]::new);
    }

    @Test
    void aShortShardIsDroppedAndTheOthersStay() {
        int[][] chunks = Chunks.inShards(List.of("a", "bcdefgh"), tokenizer, 4);

        assertThat(chunks).isDeepEqualTo(new int[][] {
            {1, 3 + 'b', 3 + 'c', 3 + 'd'}, {3 + 'e', 3 + 'f', 3 + 'g', 3 + 'h'}
        });
    }

    @Test
    void drawnChunksAreAnywhereAndDoNotOverlap() {
        for (int seed = 0; seed < 200; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            int length = random.nextInt(1, 9);
            int count = random.nextInt(0, 9);
            int tokens = length * count + random.nextInt(0, 20);

            int[] starts = Chunks.starts(tokens, length, count, random);

            int[] sorted = Arrays.stream(starts).sorted().toArray();
            assertThat(sorted).hasSize(count);
            for (int i = 0; i < count; i++) {
                assertThat(sorted[i])
                        .as("seed %d", seed)
                        .isBetween(i == 0 ? 0 : sorted[i - 1] + length, tokens - length);
            }
        }
    }

    @Test
    void everyChoiceOfPlacesIsAsLikely() {
        // two chunks of 2 among 6 tokens: 0 2, 0 3, 0 4, 1 3, 1 4, 2 4, each in two orders
        Map<List<Integer>, Integer> counts = new HashMap<>();
        SplittableRandom random = new SplittableRandom(1);
        int draws = 12_000;
        for (int i = 0; i < draws; i++) {
            int[] starts = Chunks.starts(6, 2, 2, random);
            counts.merge(List.of(starts[0], starts[1]), 1, Integer::sum);
        }
        assertThat(counts).hasSize(12);
        // five deviations of a binomial with p = 1/12
        double five = 5 * Math.sqrt(draws * (1 / 12.0) * (11 / 12.0));
        assertThat(counts.values())
                .allSatisfy(count -> assertThat((double) count).isBetween(draws / 12.0 - five, draws / 12.0 + five));
    }

    @Test
    void theSeedDrawsThem() {
        List<String> rows = List.of("a".repeat(200), "b".repeat(200));
        int[][] first = Chunks.drawnFromStream(rows, tokenizer, 20, 5, 1);

        assertThat(first).hasDimensions(5, 20);
        assertThat(Chunks.drawnFromStream(rows, tokenizer, 20, 5, 1)).isDeepEqualTo(first);
        assertThat(Chunks.drawnFromStream(rows, tokenizer, 20, 5, 2)).isNotEqualTo(first);
        assertThat(Chunks.drawnFromStream(List.of("ab"), tokenizer, 2, 5, 1)).hasDimensions(1, 2);
    }
}
