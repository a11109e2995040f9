package dev.ptq.evaluate;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.data.Split;
import dev.ptq.data.Text;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * One {@code [[evaluation.perplexity]]}.
 *
 * @param name that its metrics carry
 * @param seqLen tokens in a chunk
 * @param maxSamples chunks from the start that are evaluated; all where absent
 * @param batchSize chunks in a batch, over which protocol {@code lqer} averages losses
 * @param stream of tokens that the text is made, protocol {@code omniquant}
 * @param divergence whether the predictions of what is measured are compared with those of the model in full precision
 */
public record PerplexitySettings(
        String name,
        Text text,
        int seqLen,
        PerplexityProtocol protocol,
        OmniquantStream stream,
        OptionalInt maxSamples,
        int batchSize,
        boolean divergence) {
    private static final Key<String> NAME = Key.text("name")
            .presetIs("name of the corpus, file or data set")
            .says(
                    "the name in metrics, of letters, digits, `-` and `_`. Two texts cannot have one name, nor can a text have"
                            + " that of a task, a group or a part of a group that is measured too");

    private static final Key<Integer> BATCH_SIZE = Key.integer("batch_size")
            .from(1)
            .to(1 << 16)
            .preset(4)
            .says(
                    "chunks in a batch, over which protocol `lqer` takes means and `llm_int8` with `per = \"batch\"` looks for"
                            + " outliers");

    private static final Key<PerplexityProtocol> PROTOCOL = Key.choice(
                    "protocol",
                    Choices.of("gptq", PerplexityProtocol.GPTQ, "one stream of tokens, the mean of the chunk losses")
                            .and(
                                    "lqer",
                                    PerplexityProtocol.LQER,
                                    "as LQER's code does it: the text is tokenized in 8 shards, batch losses are averaged"
                                            + " with equal weight, padding labels are left out")
                            .and(
                                    "omniquant",
                                    PerplexityProtocol.OMNIQUANT,
                                    "as `\"gptq\"`, on one of the streams of OmniQuant's code")
                            .and(
                                    "rolling",
                                    PerplexityProtocol.ROLLING,
                                    "every row is a document, and all of its tokens are scored in windows of `seq_len`; also"
                                            + " gives the perplexity by word and byte"))
            .preset(PerplexityProtocol.GPTQ)
            .says("how the text becomes chunks, and their losses one number");

    private static final Key<Optional<Integer>> MAX_SAMPLES = Key.integer("max_samples")
            .from(1)
            .optional("all")
            .says(
                    "chunks from the start of the text; with protocol `\"rolling\"` documents, with `\"lqer\"` rounded down"
                            + " to whole batches");

    private static final Key<OmniquantStream> STREAM = Key.choice(
                    "stream", Choices.of(OmniquantStream.values(), OmniquantStream::label, OmniquantStream::text))
            .preset(OmniquantStream.WIKITEXT2)
            .says("which stream of OmniQuant's code; only with protocol `\"omniquant\"`");

    private static final Key<Boolean> DIVERGENCE = Key.flag("divergence")
            .preset(false)
            .says(
                    "also compares the predictions of each variant with those in full precision: mean KL divergence per token,"
                            + " and how often both find the same token the likeliest. It costs one more pass in full precision for"
                            + " each variant");

    private static final Key<Integer> SEQ_LEN =
            Key.integer("seq_len").from(2).to(1 << 20).preset(2048).says("tokens in a chunk");

    /** The keys of an {@code [[evaluation.perplexity]]}. */
    public static final Section SECTION = Section.of(
            "evaluation.perplexity",
            Text.keys(Split.TEST).and(NAME, SEQ_LEN, PROTOCOL, STREAM, MAX_SAMPLES, BATCH_SIZE, DIVERGENCE));

    /** Reads one table. */
    public static PerplexitySettings read(ConfigTable table) {
        Text text = Text.read(table, Split.TEST);
        String name = table.read(NAME, text.name());
        if (!name.matches("[A-Za-z0-9][A-Za-z0-9_-]*") && !text.label().isEmpty()) {
            table.problem(NAME, "expected letters, digits, - and _, got \"" + name + "\"");
            name = "text";
        }
        int batchSize = table.read(BATCH_SIZE);
        PerplexityProtocol protocol = table.read(PROTOCOL);
        OptionalInt maxSamples = table.read(MAX_SAMPLES).map(OptionalInt::of).orElseGet(OptionalInt::empty);
        if (protocol == PerplexityProtocol.LQER && maxSamples.isPresent() && maxSamples.getAsInt() < batchSize) {
            table.problem(MAX_SAMPLES, "expected at least batch_size " + batchSize + ", got " + maxSamples.getAsInt());
        }
        OmniquantStream stream = OmniquantStream.WIKITEXT2;
        if (protocol == PerplexityProtocol.OMNIQUANT) {
            stream = table.read(STREAM);
        } else {
            table.refuse(STREAM, "only protocol omniquant has streams; remove it");
        }
        boolean divergence = table.read(DIVERGENCE);
        if (divergence && protocol == PerplexityProtocol.ROLLING) {
            table.problem(DIVERGENCE, "expected false with protocol rolling, whose windows are not compared");
        }
        return new PerplexitySettings(
                name, text, table.read(SEQ_LEN), protocol, stream, maxSamples, batchSize, divergence);
    }
}
