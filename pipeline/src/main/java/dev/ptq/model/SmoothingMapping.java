package dev.ptq.model;

import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A smoothing mapping: a place in a block where channels between one layer and the next can be rescaled without
 * changing the block's function, because both sides are linear there.
 *
 * @param smoothLayer short name of the layer that the channels come from, a norm or a linear
 * @param balanceLayers short names of the linears that take them; the first is the one whose weights start scales
 */
public record SmoothingMapping(Kind kind, String smoothLayer, List<String> balanceLayers) {
    /** Position in a block. */
    public enum Kind {
        /** From the norm to the query, key and value projections. */
        ATTENTION_IN("attn_in", HookPoint.Place.ATTENTION_IN),
        /** From the value projection through attention, whose weights sum to one, to the output projection. */
        VALUE_OUT("v_o", HookPoint.Place.ATTENTION_OUT),
        /** Between queries and keys, which meet in a product. */
        QUERY_KEY("q_k", null),
        /** From the norm to the MLP's first linears. */
        MLP_IN("mlp_in", HookPoint.Place.MLP_IN),
        /** From the MLP's first linear to its last, if everything between is linear or commutes with positive factors. */
        MLP_MID("mlp_mid", HookPoint.Place.MLP_MID);

        private final String label;
        private final Optional<HookPoint.Place> place;

        Kind(String label, HookPoint.@Nullable Place place) {
            this.label = label;
            this.place = Optional.ofNullable(place);
        }

        /** The name in configs. */
        public String label() {
            return label;
        }

        /** The activation that the balance layers take; none between queries and keys. */
        public Optional<HookPoint> hookPoint() {
            return place.map(at -> new HookPoint(at, ""));
        }

        /** Returns whether the smooth layer is a norm. */
        public boolean afterNorm() {
            return this == ATTENTION_IN || this == MLP_IN;
        }
    }

    public SmoothingMapping {
        balanceLayers = List.copyOf(balanceLayers);
    }
}
