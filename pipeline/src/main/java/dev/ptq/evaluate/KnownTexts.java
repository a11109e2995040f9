package dev.ptq.evaluate;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/** Token counts behind published figures: a different count means a different edition, split, or joining. */
public final class KnownTexts {
    /**
     * A text joined to one stream.
     *
     * @param label matches the names of its data sets and files
     * @param vocabulary of the tokenizer
     */
    private record Known(String name, Pattern label, int vocabulary, int tokens) {}

    private static final Pattern WIKITEXT2 = Pattern.compile("(?i).*wikitext[-_]?2(?![0-9]).*|.*/wikitext-2-raw-v1/.*");

    private static final List<Known> TEXTS = List.of(
            // LLaMA 1 and 2, start token included: 166 chunks of 2048
            new Known("WikiText-2 raw, test", WIKITEXT2, 32000, 341_469),
            // OPT: 140 chunks of 2048
            new Known("WikiText-2 raw, test", WIKITEXT2, 50272, 287_645));

    private KnownTexts() {}

    /**
     * Returns a warning if a text is named like a known one but has a different number of chunks.
     *
     * @param chunks of the whole text
     * @param vocabulary of the model
     */
    public static Optional<String> warning(PerplexitySettings settings, int chunks, int vocabulary) {
        boolean oneStream = settings.protocol() == PerplexityProtocol.GPTQ
                || (settings.protocol() == PerplexityProtocol.OMNIQUANT
                        && settings.stream() == OmniquantStream.WIKITEXT2);
        if (!oneStream) {
            return Optional.empty();
        }
        String label = settings.text().label();
        for (Known known : TEXTS) {
            int expected = known.tokens() / settings.seqLen();
            if (known.vocabulary() == vocabulary && known.label().matcher(label).matches() && chunks != expected) {
                return Optional.of(label + ": " + chunks + " chunks of " + settings.seqLen() + " tokens; "
                        + known.name()
                        + ", has " + expected + " with this tokenizer, so published figures are of another text: look"
                        + " at its edition, its split, and how its rows are joined");
            }
        }
        return Optional.empty();
    }
}
