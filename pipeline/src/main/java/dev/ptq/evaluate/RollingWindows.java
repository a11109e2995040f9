package dev.ptq.evaluate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Splits a text longer than the model's positions into requests that score each of its tokens once. */
public final class RollingWindows {
    private RollingWindows() {}

    /**
     * Cuts a text. The first window follows the prefix; each later one follows a single token of context, except that
     * the last reaches back to fill the model's positions. Source: the EleutherAI harness.
     *
     * @param prefix the token before the text
     * @param maxTokens that the model takes
     */
    public static List<Request> of(int prefix, int[] tokens, int maxTokens) {
        int[] ids = new int[tokens.length + 1];
        ids[0] = prefix;
        System.arraycopy(tokens, 0, ids, 1, tokens.length);
        List<Request> windows = new ArrayList<>();
        for (int end = 1; end < ids.length; ) {
            int scored = Math.min(maxTokens, ids.length - end);
            end += scored;
            windows.add(new Request(Arrays.copyOfRange(ids, Math.max(0, end - maxTokens - 1), end), scored));
        }
        return windows;
    }
}
