package dev.ptq.evaluate;

import dev.ptq.config.ConfigTable;
import dev.ptq.data.Split;
import dev.ptq.data.Text;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalInt;

/**
 * One {@code [[evaluation.perplexity]]}.
 *
 * @param name that its metrics carry
 * @param seqLen tokens in a chunk
 * @param maxSamples chunks from the start that are evaluated; all where absent
 * @param batchSize chunks in a batch; it decides speed, and in protocol {@code lqer} also how losses are averaged
 * @param divergence whether the predictions of what is measured are compared with those of the model in full precision
 */
public record PerplexitySettings(
        String name,
        Text text,
        int seqLen,
        PerplexityProtocol protocol,
        OptionalInt maxSamples,
        int batchSize,
        boolean divergence) {
    /** Reads one table. */
    public static PerplexitySettings read(ConfigTable table) {
        Text text = Text.read(table, Split.TEST);
        String name = table.string("name", text.name());
        if (!name.matches("[A-Za-z0-9][A-Za-z0-9_-]*") && !text.label().isEmpty()) {
            table.problem("name", "expected letters, digits, - and _, got \"" + name + "\"");
            name = "text";
        }
        Map<String, PerplexityProtocol> protocols = new LinkedHashMap<>();
        protocols.put("gptq", PerplexityProtocol.GPTQ);
        protocols.put("lqer", PerplexityProtocol.LQER);
        int batchSize = table.integer("batch_size", 4, 1, 1 << 16);
        PerplexityProtocol protocol = table.choice("protocol", protocols, "gptq");
        OptionalInt maxSamples = table.optionalInteger("max_samples", 1, Integer.MAX_VALUE);
        if (protocol == PerplexityProtocol.LQER && maxSamples.isPresent() && maxSamples.getAsInt() < batchSize) {
            table.problem(
                    "max_samples", "expected at least batch_size " + batchSize + ", got " + maxSamples.getAsInt());
        }
        return new PerplexitySettings(
                name,
                text,
                table.integer("seq_len", 2048, 2, 1 << 20),
                protocol,
                maxSamples,
                batchSize,
                table.flag("divergence", false));
    }
}
