package dev.ptq.model;

import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.StaticFormat;
import java.io.IOException;
import java.util.Map;
import java.util.Optional;

/**
 * The formats of the operands of both attention products, applied per head, and of the cache of keys and values.
 *
 * @param query after rotation or scaling
 * @param key as the transpose that enters the product, after rotation
 * @param probability after the softmax
 * @param kv of the cache; with it, {@code key} and {@code value} have no format of their own
 */
public record AttentionFormats(
        NumberFormat query, NumberFormat key, NumberFormat value, NumberFormat probability, Optional<KvFormats> kv) {
    public AttentionFormats {
        if (kv.isPresent() && !(key.isNone() && value.isNone())) {
            throw new IllegalArgumentException("keys and values are rounded in the cache, and again in the products");
        }
    }

    /** Formats of the operands, without a cache. */
    public AttentionFormats(NumberFormat query, NumberFormat key, NumberFormat value, NumberFormat probability) {
        this(query, key, value, probability, Optional.empty());
    }

    /** One format for the left operands of the products, query and probability, and one for the right ones. */
    public AttentionFormats(NumberFormat left, NumberFormat right) {
        this(left, right, right, left);
    }

    /** Full precision. */
    public static AttentionFormats none() {
        return new AttentionFormats(new NoFormat(), new NoFormat());
    }

    /** Returns the same formats with those of a cache. */
    public AttentionFormats with(KvFormats formats) {
        return new AttentionFormats(query, key, value, probability, Optional.of(formats));
    }

    /** The formats of the cache with static ranges, by the hook point whose values they are for. */
    public Map<HookPoint, StaticFormat> statics() {
        return kv.map(KvFormats::statics).orElse(Map.of());
    }

    /** Returns the formats, those of the cache with these static ranges. */
    AttentionFormats knowing(KvFormats.Ranges ranges) throws IOException {
        return kv.isPresent() ? with(kv.get().knowing(ranges)) : this;
    }

    /** Returns whether nothing is rounded. */
    public boolean isNone() {
        return query.isNone()
                && key.isNone()
                && value.isNone()
                && probability.isNone()
                && kv.map(KvFormats::isNone).orElse(true);
    }
}
