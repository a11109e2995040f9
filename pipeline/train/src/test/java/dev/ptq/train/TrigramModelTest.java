package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.train.TrigramModel.Context;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TrigramModelTest {
    /** Sums of some hundred positive terms of at most 1. */
    private static final double ROUNDING = 1e-13;

    /**
     * Trigrams 012 twice; 120, 201, 013, 130, 301 once. Bigrams by left tokens: 01 after 2, after 3 and at the start;
     * 12, 20, 13, 30 once. Unigrams by left tokens: 0 after 2 and 3; 1, 2, 3 once. No order has all of n1 to n4, so
     * discounts are 0.5, 1 and 1.5. The vocabulary has a token 4 besides.
     */
    @Test
    void equalsValuesWorkedByHand() {
        TrigramModel model = TrigramModel.train(new int[] {0, 1, 2, 0, 1, 3, 0, 1, 2}, 5);

        double two = (1 - 0.5) / 5 + (3 * 0.5 + 1) / 5 / 5;
        assertThat(model.probability(2)).isCloseTo(two, within(ROUNDING));
        double oneTwo = (1 - 0.5) / 2 + (0.5 + 0.5) / 2 * two;
        assertThat(model.probability(1, 2)).isCloseTo(oneTwo, within(ROUNDING));
        double zeroOneTwo = (2 - 1) / 3.0 + (1 + 0.5) / 3 * oneTwo;
        assertThat(model.probability(0, 1, 2)).isCloseTo(zeroOneTwo, within(ROUNDING));
        assertThat(zeroOneTwo).isCloseTo(0.5083333333333333, within(ROUNDING));

        double four = (3 * 0.5 + 1) / 5 / 5;
        assertThat(model.probability(0, 1, 4)).isCloseTo(0.5 * 0.5 * four, within(ROUNDING));
        double zeroOne = (3 - 1.5) / 3 + 1.5 / 3 * model.probability(1);
        assertThat(model.probability(0, 1)).isCloseTo(zeroOne, within(ROUNDING));
        assertThat(model.probability(3, 2, 0)).as("a new context").isEqualTo(model.probability(2, 0));
        assertThat(model.probability(4, 0)).as("a new context").isEqualTo(model.probability(0));
    }

    @Test
    void probabilitiesSumToOneAfterEveryContext() {
        int vocabSize = 23;
        SplittableRandom random = new SplittableRandom(1);
        for (int length : new int[] {0, 1, 2, 3, 10, 100, 3000}) {
            // the last three tokens are never seen
            TrigramModel model = TrigramModel.train(skewed(random, length, vocabSize - 3), vocabSize);
            assertThat(IntStream.range(0, vocabSize)
                            .mapToDouble(model::probability)
                            .sum())
                    .isCloseTo(1, within(ROUNDING));
            for (int v = 0; v < vocabSize; v++) {
                int second = v;
                assertThat(IntStream.range(0, vocabSize)
                                .mapToDouble(w -> model.probability(second, w))
                                .sum())
                        .isCloseTo(1, within(ROUNDING));
                for (int u = 0; u < vocabSize; u++) {
                    int first = u;
                    assertThat(IntStream.range(0, vocabSize)
                                    .mapToDouble(w -> model.probability(first, second, w))
                                    .sum())
                            .as("%s tokens, after %s %s", length, u, v)
                            .isCloseTo(1, within(ROUNDING));
                }
            }
        }
    }

    @Test
    void equalsTheFormulasWithMaps() {
        SplittableRandom random = new SplittableRandom(2);
        Set<Integer> estimatedOrders = new HashSet<>();
        for (int vocabSize : new int[] {2, 5, 17, 100}) {
            for (int[] lengths : new int[][] {{300}, {1500}, {3, 1, 200, 0, 2, 90}}) {
                List<int[]> texts = Arrays.stream(lengths)
                        .mapToObj(length -> skewed(random, length, vocabSize))
                        .toList();
                TrigramModel model = TrigramModel.train(texts, vocabSize);
                HashedTrigramModel expected = new HashedTrigramModel(texts, vocabSize);
                for (int trial = 0; trial < 500; trial++) {
                    int[] gram = skewed(random, 3, vocabSize);
                    assertThat(model.probability(gram[2]))
                            .isCloseTo(expected.probability(List.of(), gram[2]), within(ROUNDING));
                    assertThat(model.probability(gram[1], gram[2]))
                            .isCloseTo(expected.probability(List.of(gram[1]), gram[2]), within(ROUNDING));
                    assertThat(model.probability(gram[0], gram[1], gram[2]))
                            .isCloseTo(expected.probability(List.of(gram[0], gram[1]), gram[2]), within(ROUNDING));
                }
                IntStream.of(0, 1, 2).filter(expected::estimatesDiscounts).forEach(estimatedOrders::add);
            }
        }
        assertThat(estimatedOrders).as("not all by the fallback").containsExactlyInAnyOrder(0, 1, 2);
    }

    /**
     * Each token is the one two before it with a probability of 0.9, else the other one: one token of context says
     * nothing, two leave the entropy of 0.9.
     */
    @Test
    void reachesTheEntropyOfAMarkovChain() {
        SplittableRandom random = new SplittableRandom(4);
        // three tokens of the vocabulary never come
        TrigramModel model = TrigramModel.train(everySecond(random, 200_000), 5);
        int[] test = everySecond(random, 200_000);

        double entropy = -0.9 * Math.log(0.9) - 0.1 * Math.log(0.1);
        // four standard deviations of the mean of so many losses, each of a deviation of 0.3 ln 9
        double sampling = 4 * 0.3 * Math.log(9) / Math.sqrt(200_000);
        assertThat(model.loss(test, 1000, Context.STREAM)).isCloseTo(entropy, within(sampling));
        assertThat(model.loss(test, 2, Context.STREAM)).isCloseTo(entropy, within(sampling * Math.sqrt(2)));
        assertThat(model.loss(test, 2, Context.CHUNK)).isGreaterThan(Math.log(2) - 1e-3);
    }

    /** Where all is one chunk both contexts are the same; else chunks are scored each like a text, and averaged. */
    @Test
    void scoresWhatTheProtocolScores() {
        SplittableRandom random = new SplittableRandom(5);
        TrigramModel model = TrigramModel.train(skewed(random, 2000, 11), 11);
        int[] text = skewed(random, 31, 11);

        double[] losses = new double[31];
        double[] lossesInStream = new double[31];
        for (int i = 1; i < 31; i++) {
            double withOne = -Math.log(model.probability(text[i - 1], text[i]));
            double withTwo = i == 1 ? withOne : -Math.log(model.probability(text[i - 2], text[i - 1], text[i]));
            losses[i] = i % 7 == 1 ? withOne : withTwo;
            lossesInStream[i] = withTwo;
        }
        for (double[] of : new double[][] {losses, lossesInStream}) {
            double chunkMeans = 0;
            for (int from = 0; from < 28; from += 7) {
                chunkMeans += Arrays.stream(of, from + 1, from + 7).sum() / 6;
            }
            assertThat(model.loss(text, 7, of == losses ? Context.CHUNK : Context.STREAM))
                    .isCloseTo(chunkMeans / 4, within(ROUNDING));
        }
        assertThat(model.loss(text, 31, Context.CHUNK)).isEqualTo(model.loss(text, 31, Context.STREAM));
        assertThat(model.loss(Arrays.copyOf(text, 28), 7, Context.CHUNK)).isEqualTo(model.loss(text, 7, Context.CHUNK));
    }

    @Test
    void knowsNothingFromNoPairOfTokens() {
        for (List<int[]> texts : List.of(List.<int[]>of(), List.of(new int[] {3}), List.of(new int[0]))) {
            TrigramModel model = TrigramModel.train(texts, 8);
            assertThat(model.probability(3)).isEqualTo(0.125);
            assertThat(model.probability(3, 3)).isEqualTo(0.125);
            assertThat(model.probability(1, 2, 3)).isEqualTo(0.125);
        }
    }

    @Test
    void learnsATokenThatIsRepeated() {
        int[] text = new int[1000];
        Arrays.fill(text, 6);
        TrigramModel model = TrigramModel.train(text, 8);

        double lower = (1 - 0.5) + 0.5 / 8;
        // after itself and at the start of the text
        lower = (2 - 1) / 2.0 + 1 / 2.0 * lower;
        assertThat(model.probability(6, 6, 6)).isCloseTo((998 - 1.5) / 998 + 1.5 / 998 * lower, within(ROUNDING));
        assertThat(model.probability(6, 6, 0)).isCloseTo(1.5 / 998 * 0.5 * 0.5 / 8, within(ROUNDING));
        assertThat(model.loss(text, 10, Context.STREAM)).isBetween(0.0, 0.002);
    }

    @Test
    void aVocabularyOfOneTokenIsCertain() {
        assertThat(TrigramModel.train(new int[] {0, 0, 0}, 1).loss(new int[] {0, 0, 0}, 3, Context.CHUNK))
                .isCloseTo(0, within(ROUNDING));
    }

    @Test
    void takesTheLargestVocabulary() {
        int size = 1 << 21;
        int last = size - 1;
        TrigramModel model = TrigramModel.train(new int[] {last, last, last, 0, last, last, last}, size);

        assertThat(model.probability(last, last, last)).isGreaterThan(0.5);
        assertThat(model.probability(last, 0, last)).isGreaterThan(0.5);
        assertThat(model.probability(0, 0, 1)).isGreaterThan(0);
    }

    @Test
    void refusesTokensOutsideTheVocabulary() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TrigramModel.train(List.of(new int[] {0}, new int[] {0, 4}), 4))
                .withMessage("token 4 at position 1 of text 1 is not in the vocabulary of 4 tokens");
        assertThatIllegalArgumentException().isThrownBy(() -> TrigramModel.train(new int[] {-1}, 4));
        TrigramModel model = TrigramModel.train(new int[] {0, 1, 2}, 4);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> model.loss(new int[] {0, 0, 5, 0}, 2, Context.CHUNK))
                .withMessage("token 5 at position 2 of the text is not in the vocabulary of 4 tokens");
        assertThatIllegalArgumentException().isThrownBy(() -> model.probability(0, 1, 4));
        assertThatIllegalArgumentException().isThrownBy(() -> model.probability(0, -1, 3));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> model.probability(4, 1, 3))
                .withMessage("token 4 is not in the vocabulary of 4 tokens");
    }

    @Test
    void refusesSizesThatMakeNoSense() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TrigramModel.train(new int[0], 0))
                .withMessage("expected a vocabulary of 1 to 2097152 tokens, got 0");
        assertThatIllegalArgumentException().isThrownBy(() -> TrigramModel.train(new int[0], (1 << 21) + 1));
        TrigramModel model = TrigramModel.train(new int[] {0, 1, 2}, 4);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> model.loss(new int[] {0, 1, 2}, 4, Context.STREAM))
                .withMessage("the text of 3 tokens is shorter than one chunk of 4");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> model.loss(new int[] {0, 1, 2}, 1, Context.STREAM))
                .withMessage("a chunk of 1 tokens has none to score; take 2 or more");
    }

    private static int[] everySecond(SplittableRandom random, int length) {
        int[] tokens = new int[length];
        for (int i = 2; i < length; i++) {
            tokens[i] = random.nextDouble() < 0.9 ? tokens[i - 2] : 1 - tokens[i - 2];
        }
        return tokens;
    }

    /** Tokens of which the first are far more frequent than the last, so that all small counts of counts occur. */
    private static int[] skewed(SplittableRandom random, int length, int vocabSize) {
        int[] tokens = new int[length];
        for (int i = 0; i < length; i++) {
            tokens[i] = (int) (vocabSize * Math.pow(random.nextDouble(), 3));
        }
        return tokens;
    }
}
