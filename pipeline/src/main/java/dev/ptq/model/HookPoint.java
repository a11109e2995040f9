package dev.ptq.model;

import java.util.List;

/**
 * A point where an activation enters linear layers, or the cache of keys and values; linears that share an input share its
 * hook point.
 *
 * @param expert of a mixture whose linears they are, see {@link dev.ptq.family.MixtureShape}; empty for all others
 */
public record HookPoint(Place place, String expert) {
    /** The input of the query, key and value projections. */
    public static final HookPoint ATTENTION_IN = new HookPoint(Place.ATTENTION_IN, "");
    /** Keys before their rotation, behind their norm: the key heads of a token side by side. */
    public static final HookPoint KEY = new HookPoint(Place.KEY, "");
    /** The same after their rotation; where a model has none, the keys as they are. */
    public static final HookPoint ROTATED_KEY = new HookPoint(Place.ROTATED_KEY, "");
    /** Values, the value heads of a token side by side. */
    public static final HookPoint VALUE = new HookPoint(Place.VALUE, "");
    /** The input of attention's output projection. */
    public static final HookPoint ATTENTION_OUT = new HookPoint(Place.ATTENTION_OUT, "");
    /** The input of a mixture: of its router and of all experts together. No linear that is rounded takes it. */
    public static final HookPoint MIXTURE_IN = new HookPoint(Place.MIXTURE_IN, "");
    /** The input of the MLP's first linears. */
    public static final HookPoint MLP_IN = new HookPoint(Place.MLP_IN, "");
    /** The input of the MLP's last linear. */
    public static final HookPoint MLP_MID = new HookPoint(Place.MLP_MID, "");

    /** What a cache of keys and values can hold, in the order of computation. */
    static final List<HookPoint> OF_CACHE = List.of(KEY, ROTATED_KEY, VALUE);

    /** The expert that all tokens pass. */
    static final String SHARED_EXPERT = "shared";

    /** Position in a block, in the order of computation. */
    public enum Place {
        ATTENTION_IN("attn_in"),
        KEY("key"),
        ROTATED_KEY("rotated_key"),
        VALUE("value"),
        ATTENTION_OUT("attn_out"),
        MIXTURE_IN("mixture_in"),
        MLP_IN("mlp_in"),
        MLP_MID("mlp_mid");

        private final String label;

        Place(String label) {
            this.label = label;
        }
    }

    /** The same place in an expert. */
    HookPoint of(String someExpert) {
        return new HookPoint(place, someExpert);
    }

    /** Returns whether what comes here enters the cache of keys and values, not a linear. */
    public boolean isOfCache() {
        return OF_CACHE.contains(this);
    }

    /** Returns whether a router decides which tokens come here. */
    public boolean isRouted() {
        return !expert.isEmpty() && !expert.equals(SHARED_EXPERT);
    }

    /** The name in files and configs. */
    public String label() {
        return expert.isEmpty() ? place.label : place.label + "." + expert;
    }

    /** Returns whether what enters here is computed before what enters there. */
    public boolean isBefore(HookPoint other) {
        return place.compareTo(other.place) < 0;
    }
}
