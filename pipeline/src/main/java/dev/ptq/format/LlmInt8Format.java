package dev.ptq.format;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.format.IntegerFormat.Granularity;
import dev.ptq.tensor.HalfFloats;
import java.nio.FloatBuffer;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Symmetric integers with a scale for each token, for inputs of linears; features with an outlier stay as they are, in all
 * tokens. Source: LLM.int8() (NeurIPS 2022), with the rules of bitsandbytes' inference: a scale is that of all values of the
 * token below the threshold, also where these are among the features that stay, and the weights that such a feature meets
 * are in the weight's own format.
 *
 * @param bits of a code
 * @param threshold the smallest magnitude of an outlier
 * @param per the tokens that an outlier concerns
 * @param rule the arithmetic
 */
public record LlmInt8Format(
        int bits, double threshold, Per per, @OmittedIfEmpty Optional<Rule> rule) implements NumberFormat {
    /** The name in configs. */
    static final String NAME = "llm_int8";

    /** The tokens that are searched for outliers together. */
    public enum Per {
        /** Those of a sequence, so that results do not depend on the batch. */
        SEQUENCE,
        /** Those of a batch. */
        BATCH
    }

    /** The arithmetic of a tool, bit for bit; without one it is that of symmetric integers, in float32. */
    public enum Rule {
        /**
         * bitsandbytes: values are first rounded to float16; a code is {@code round(x · (127 / s))} and its value {@code code
         * · (s / 127)}, s being the token's largest magnitude below the threshold.
         */
        BITSANDBYTES
    }

    private static final Key<Integer> BITS =
            Key.integer("bits").from(2).to(16).preset(8).says("bits of a value that is no outlier, its sign included");

    private static final Key<Double> THRESHOLD =
            Key.decimal("threshold").from(0.0).preset(6.0).says("the smallest magnitude of an outlier");

    private static final Key<Per> PER = Key.choice(
                    "per",
                    Choices.of("sequence", Per.SEQUENCE, "those of its sequence")
                            .and(
                                    "batch",
                                    Per.BATCH,
                                    "those of its batch, as in bitsandbytes; results then depend on `batch_size`"))
            .preset(Per.SEQUENCE)
            .says("the tokens in which a feature stays as it is when one of them has an outlier there");

    static final Keys KEYS = Keys.of(BITS, THRESHOLD, PER);

    public LlmInt8Format {
        if (bits < 2 || bits > 16 || !(threshold >= 0)) {
            throw new IllegalArgumentException("no such format: " + bits + " bits, threshold " + threshold);
        }
    }

    /** Makes a format with the arithmetic of symmetric integers. */
    public LlmInt8Format(int bits, double threshold, Per per) {
        this(bits, threshold, per, Optional.empty());
    }

    static LlmInt8Format read(ConfigTable table, Formats.Rules rules) {
        if (!rules.calibrated()) {
            table.problem(Formats.FORMAT, NAME + " is for inputs of linears, [quantization.activation]");
        }
        return new LlmInt8Format(table.read(BITS), table.read(THRESHOLD), table.read(PER));
    }

    private IntegerFormat integers() {
        return new IntegerFormat(bits, Granularity.TOKEN, 0, true);
    }

    @Override
    public boolean spansBatch() {
        return per == Per.BATCH;
    }

    @Override
    public void round(FloatBuffer values, Shape shape, Operand operand) {
        float[] exact = new float[values.capacity()];
        values.get(0, exact);
        if (rule.isPresent()) {
            for (int i = 0; i < exact.length; i++) {
                exact[i] = HalfFloats.round(exact[i]);
            }
        }
        for (int i = 0; i < exact.length; i++) {
            values.put(i, isOutlier(exact[i]) ? 0 : exact[i]);
        }
        if (rule.isPresent()) {
            roundTokens(values, Math.toIntExact(shape.get(shape.dimension() - 1)));
        } else {
            integers().round(values, shape, operand);
        }
        Blocks together = spansBatch() ? Blocks.one(shape) : Blocks.over(shape.getShape(), List.of(-1, -1));
        int size = together.rows() * together.columns();
        for (int from = 0; from < exact.length; from += size) {
            int start = from;
            outliers(exact, from, size, together.columns()).forEach(feature -> {
                for (int i = start + feature; i < start + size; i += together.columns()) {
                    values.put(i, exact[i]);
                }
            });
        }
    }

    private void roundTokens(FloatBuffer values, int features) {
        float highest = (1 << (bits - 1)) - 1;
        for (int from = 0; from < values.capacity(); from += features) {
            float largest = 0;
            for (int i = from; i < from + features; i++) {
                largest = Math.max(largest, Math.abs(values.get(i)));
            }
            float inverse = largest == 0 ? 0 : highest / largest;
            float scale = largest / highest;
            for (int i = from; i < from + features; i++) {
                values.put(i, (float) Math.rint(values.get(i) * inverse) * scale);
            }
        }
    }

    private boolean isOutlier(float value) {
        return Math.abs(value) >= threshold;
    }

    /** Returns the features of a matrix that have an outlier. */
    private IntStream outliers(float[] values, int from, int size, int columns) {
        BitSet features = new BitSet(columns);
        for (int line = from; line < from + size; line += columns) {
            for (int feature = 0; feature < columns; feature++) {
                if (isOutlier(values[line + feature])) {
                    features.set(feature);
                }
            }
        }
        return features.stream();
    }

    @Override
    public Optional<Grid> fit(NDArray values, Operand operand) {
        return Optional.empty();
    }

    @Override
    public Map<String, Object> table() {
        Map<String, Object> table = new LinkedHashMap<>();
        table.put(Formats.FORMAT, NAME);
        table.put("bits", bits);
        table.put("threshold", threshold);
        table.put("per", Formats.label(per));
        rule.ifPresent(used -> table.put("rule", Formats.label(used)));
        return table;
    }

    /** {@inheritDoc} As if there were no outliers. */
    @Override
    public double storageBits(Shape shape, Operand operand) {
        return integers().storageBits(shape, operand);
    }
}
