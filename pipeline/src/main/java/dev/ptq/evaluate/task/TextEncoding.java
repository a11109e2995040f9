package dev.ptq.evaluate.task;

import dev.ptq.data.Tokenizer;
import java.io.IOException;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The encoding of texts as token ids. */
public interface TextEncoding {
    /** Returns the ids of a text, with the special tokens put around it. */
    int[] encode(String text);

    /** Returns the ids of the text alone. */
    int[] encodePlain(String text);

    /** Returns the token before a text without context. */
    int prefix();

    /**
     * Returns the encoding of a tokenizer.
     *
     * <p>The harness leaves the start token to the tokenizer, and never puts a second one before a text that begins
     * with it; its version 0.3 puts no special tokens around texts. The prefix is the start token or else the
     * end-of-text token; in version 0.3 always the latter.
     *
     * @throws IOException if the tokenizer has no such token
     */
    static TextEncoding of(Tokenizer tokenizer, TasksSettings settings) throws IOException {
        OptionalInt start = tokenizer.startId();
        OptionalInt prefix = settings.profile() == Profile.LQER || start.isEmpty() ? tokenizer.endId() : start;
        boolean forced = settings.addBos().orElse(false);
        if (prefix.isEmpty() || (forced && start.isEmpty())) {
            throw new IOException("the tokenizer has no " + (forced ? "start" : "end-of-text")
                    + " token, which tasks need; name it in " + Tokenizer.CONFIG);
        }
        tokenizer.known(prefix.getAsInt());
        boolean special = settings.addBos().orElse(settings.profile() == Profile.HARNESS);
        Logger log = LoggerFactory.getLogger(TextEncoding.class);
        log.info(
                "BOS token: {}; a text without context follows token {}",
                !special ? "none" : forced ? "added before every text" : "added by the tokenizer",
                prefix.getAsInt());
        return new TextEncoding() {
            @Override
            public int[] encode(String text) {
                boolean starts = !tokenizer.startText().isEmpty() && text.startsWith(tokenizer.startText());
                if (!special || starts) {
                    return tokenizer.encodePlain(text);
                }
                int[] ids = tokenizer.encode(text);
                if (!forced || (ids.length > 0 && ids[0] == start.getAsInt())) {
                    return ids;
                }
                int[] all = new int[ids.length + 1];
                all[0] = start.getAsInt();
                System.arraycopy(ids, 0, all, 1, ids.length);
                return all;
            }

            @Override
            public int[] encodePlain(String text) {
                return tokenizer.encodePlain(text);
            }

            @Override
            public int prefix() {
                return prefix.getAsInt();
            }
        };
    }
}
