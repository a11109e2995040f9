package dev.ptq.gguf;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/**
 * The merges of a vocabulary whose tokens have scores: the pair goes first whose token has the best score. Tokenizers of
 * the Hugging Face library have ranks of pairs instead. They are those of its own conversion: of the pairs that make one
 * token, that with the longest first part is the first.
 */
final class PieceMerges {
    private PieceMerges() {}

    private record Merge(String left, String right, double score) {
        int leftLength() {
            return left.codePointCount(0, left.length());
        }
    }

    /**
     * Returns all pairs of tokens that are tokens together, the first to be merged first.
     *
     * @param scores of tokens, in the order of their ids
     */
    static List<List<String>> of(Map<String, Double> scores) {
        List<Merge> merges = new ArrayList<>();
        scores.forEach((token, score) -> {
            for (int at = next(token, 0); at < token.length(); at = next(token, at)) {
                String left = token.substring(0, at);
                if (scores.containsKey(left)) {
                    String right = token.substring(at);
                    if (scores.containsKey(right)) {
                        // of zeros there is one, as elsewhere
                        merges.add(new Merge(left, right, score + 0.0));
                    }
                }
            }
        });
        // of tokens with equal scores, the whole lengths of both parts decide, and then their ids
        merges.sort(Comparator.comparingDouble(Merge::score)
                .thenComparingInt(Merge::leftLength)
                .thenComparingInt(
                        merge -> merge.right().codePointCount(0, merge.right().length()))
                .reversed());
        return merges.stream()
                .map(merge -> List.of(merge.left(), merge.right()))
                .toList();
    }

    private static int next(String token, int at) {
        return at >= token.length() ? token.length() : token.offsetByCodePoints(at, 1);
    }
}
