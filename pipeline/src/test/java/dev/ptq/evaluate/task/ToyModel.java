package dev.ptq.evaluate.task;

import dev.ptq.evaluate.Request;
import dev.ptq.evaluate.RequestScorer;
import dev.ptq.evaluate.Score;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A model without weights: a token is a byte, 256 stands before texts, and what follows depends on the token before and
 * on where it stands.
 */
final class ToyModel implements RequestScorer {
    static final int PREFIX = 256;
    private static final int VOCABULARY = 257;
    private static final Map<Integer, Integer> SUCCESSORS =
            Map.of(32, 108, 108, 97, 97, 110, 110, 116, 116, 101, 101, 114, 114, 110);

    private final double[][][] logProbabilities = new double[97][VOCABULARY][];
    private int batchSize = Integer.MAX_VALUE;

    /** The names that were asked for, in order. */
    final List<String> asked = new ArrayList<>();

    ToyModel() {}

    /** Scores in batches, the last request first. */
    ToyModel inBatchesOf(int size) {
        batchSize = size;
        return this;
    }

    static TextEncoding encoding(boolean bos) {
        return new TextEncoding() {
            @Override
            public int[] encode(String text) {
                int[] plain = encodePlain(text);
                if (!bos) {
                    return plain;
                }
                int[] ids = new int[plain.length + 1];
                ids[0] = PREFIX;
                System.arraycopy(plain, 0, ids, 1, plain.length);
                return ids;
            }

            @Override
            public int[] encodePlain(String text) {
                byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
                int[] ids = new int[bytes.length];
                for (int i = 0; i < ids.length; i++) {
                    ids[i] = bytes[i] & 0xff;
                }
                return ids;
            }

            @Override
            public int prefix() {
                return PREFIX;
            }
        };
    }

    @Override
    public List<Score> score(String name, List<Request> requests) {
        asked.add(name);
        Score[] scores = new Score[requests.size()];
        for (int from = 0; from < scores.length; from += batchSize) {
            for (int i = Math.min(scores.length, from + Math.min(batchSize, scores.length)) - 1; i >= from; i--) {
                scores[i] = score(requests.get(i));
            }
        }
        return List.of(scores);
    }

    private Score score(Request request) {
        int[] ids = request.ids();
        double sum = 0;
        boolean greedy = true;
        for (int i = ids.length - request.scored() - 1; i < ids.length - 1; i++) {
            double[] row = row(ids[i], i);
            sum += row[ids[i + 1]];
            for (int v = 0; v < VOCABULARY; v++) {
                greedy &= row[v] < row[ids[i + 1]] || (row[v] == row[ids[i + 1]] && v >= ids[i + 1]);
            }
        }
        return new Score(sum, greedy);
    }

    private double[] row(int token, int position) {
        int phase = position % 97;
        if (logProbabilities[phase][token] == null) {
            double[] row = new double[VOCABULARY];
            double sum = 0;
            for (int v = 0; v < VOCABULARY; v++) {
                row[v] = ((31 * token + 17 * v + 7 * position) % 97) / 16.0
                        + (SUCCESSORS.getOrDefault(token, -1) == v ? 12 : 0);
                sum += Math.exp(row[v]);
            }
            for (int v = 0; v < VOCABULARY; v++) {
                row[v] -= Math.log(sum);
            }
            logProbabilities[phase][token] = row;
        }
        return logProbabilities[phase][token];
    }
}
