package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.format.Bounds;
import dev.ptq.format.CacheFormat;
import dev.ptq.format.Formats;
import dev.ptq.format.Operand;
import dev.ptq.format.StaticFormat;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * The formats of the cache of keys and values, {@code [quantization.kv]}.
 *
 * @param rotary whether keys are rounded before or after their rotation
 * @param window latest tokens that a query sees in full precision, itself included
 */
public record KvFormats(CacheFormat key, CacheFormat value, Rotary rotary, int window) {
    /** The place of the rounding of keys. */
    public enum Rotary {
        /** Keys are rounded, then rotated, as in KVQuant. */
        BEFORE,
        /** Keys are rotated, then rounded. */
        AFTER
    }

    private static final String FLOAT = "float32";

    private static final Key<Optional<ConfigTable>> KEY =
            Key.table("key", Formats.CACHE).optional(FLOAT).says("format of keys");

    private static final Key<Optional<ConfigTable>> VALUE =
            Key.table("value", Formats.CACHE).optional(FLOAT).says("format of values");

    private static final Key<Rotary> ROTARY = Key.choice(
                    "rotary",
                    Choices.of("before", Rotary.BEFORE, "then rotated, as in KVQuant")
                            .and("after", Rotary.AFTER, "once they are rotated, as with `attention.key`"))
            .preset(Rotary.AFTER)
            .says("when keys are rounded, in models that rotate them");

    private static final Key<Integer> WINDOW = Key.integer("window")
            .from(0)
            .preset(0)
            .says("latest tokens that each query sees in full precision, itself included, as in KIVI; with"
                    + " `per = \"channel\"` also the rest of a group that reaches into them");

    /** The keys of {@code [quantization.kv]}. */
    static final Section SECTION = Section.of("quantization.kv", KEY, VALUE, ROTARY, WINDOW);

    /** Reads {@code [quantization.kv]}. */
    static KvFormats read(ConfigTable table) {
        Optional<ConfigTable> key = table.read(KEY);
        Optional<ConfigTable> value = table.read(VALUE);
        if (key.isEmpty() && value.isEmpty()) {
            table.problem("expected a key or a value format, got neither");
        }
        return new KvFormats(
                key.map(Formats::readCache).orElseGet(CacheFormat::none),
                value.map(Formats::readCache).orElseGet(CacheFormat::none),
                table.read(ROTARY),
                table.read(WINDOW));
    }

    /** Finds static ranges of what enters the cache at a hook point. */
    @FunctionalInterface
    interface Ranges {
        List<Bounds> at(HookPoint hookPoint, StaticFormat format) throws IOException;
    }

    /** The formats with static ranges, by the hook point whose values they are for. */
    public Map<HookPoint, StaticFormat> statics() {
        Map<HookPoint, StaticFormat> statics = new LinkedHashMap<>();
        key.ofStatic().ifPresent(format -> statics.put(keyHookPoint(), format));
        value.ofStatic().ifPresent(format -> statics.put(HookPoint.VALUE, format));
        return statics;
    }

    /** Returns the formats with these static ranges. */
    KvFormats knowing(Ranges ranges) throws IOException {
        return new KvFormats(
                knowing(key, keyHookPoint(), ranges), knowing(value, HookPoint.VALUE, ranges), rotary, window);
    }

    private static CacheFormat knowing(CacheFormat format, HookPoint hookPoint, Ranges ranges) throws IOException {
        Optional<StaticFormat> asking = format.ofStatic();
        return asking.isEmpty()
                ? format
                : new CacheFormat(asking.get().withRanges(ranges.at(hookPoint, asking.get())), format.groupSize());
    }

    private HookPoint keyHookPoint() {
        return rotary == Rotary.BEFORE ? HookPoint.KEY : HookPoint.ROTATED_KEY;
    }

    /** Returns whether nothing is rounded. */
    public boolean isNone() {
        return key.isNone() && value.isNone();
    }

    /**
     * Returns keys as the queries see them.
     *
     * @param keys before rotation, {@code [batch, kvHeads, tokens, headDim]}
     */
    Cached keys(NDArray keys, UnaryOperator<NDArray> rotation, ForwardPass pass) {
        if (rotary == Rotary.AFTER) {
            return cached(key, rotation.apply(keys), pass);
        }
        return cached(key, keys, pass).map(rotation);
    }

    /**
     * Returns values as the queries see them.
     *
     * @param values {@code [batch, kvHeads, tokens, headDim]}
     */
    Cached values(NDArray values, ForwardPass pass) {
        return cached(value, values, pass);
    }

    private Cached cached(CacheFormat format, NDArray values, ForwardPass pass) {
        long tokens = values.getShape().get(2);
        int together = format.tokensTogether();
        if (format.isNone() || (long) together + window > tokens) {
            return Cached.uniform(values);
        }
        NDArray rounded =
                format.rounded(values, rows -> pass.operators().rounded(format.format(), rows, Operand.ACTIVATION));
        return together == 1 && window == 0
                ? Cached.uniform(rounded)
                : Cached.mixed(values, rounded, pass.constants().rounded(together, window));
    }

    /**
     * Returns the mean storage in bits of a cached key or value, over all blocks of a model, including all shared values.
     * What is not rounded takes 16 bits.
     *
     * @param tokens in the cache
     */
    public double bitsPerValue(ModelConfig model, int tokens) {
        double bits = 0;
        double values = 0;
        for (int block = 0; block < model.blocks(); block++) {
            AttentionShape attention = model.block(block).attention();
            for (CacheFormat format : new CacheFormat[] {key, value}) {
                bits += format.storageBits(attention.kvHeads(), attention.headDim(), tokens, window);
                values += (double) attention.keyWidth() * tokens;
            }
        }
        return bits / values;
    }
}
