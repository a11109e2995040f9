package dev.ptq.model;

import java.util.List;
import java.util.Optional;

/**
 * A smoothing mapping: a place in a block where channels between one layer and the next can be rescaled without
 * changing the block's function, because both sides are linear there.
 *
 * @param hookPoint of the activation that the balance layers take; none between queries and keys
 * @param smoothLayer path of the layer that the channels come from, a norm or a linear
 * @param balanceLayers paths of the linears that take them
 * @param startLayers those of them whose weights start learned factors
 */
public record SmoothingMapping(
        Kind kind,
        Optional<HookPoint> hookPoint,
        String smoothLayer,
        List<String> balanceLayers,
        List<String> startLayers) {
    /** Position in a block. */
    public enum Kind {
        /** From the norm to the query, key and value projections. */
        ATTENTION_IN("attn_in"),
        /** From the value projection through attention, whose weights sum to one, to the output projection. */
        VALUE_OUT("v_o"),
        /** Between queries and keys, which meet in a product. */
        QUERY_KEY("q_k"),
        /** From the norm to the MLP's first linears. */
        MLP_IN("mlp_in"),
        /** From the MLP's first linear to its last, if everything between is linear or commutes with positive factors. */
        MLP_MID("mlp_mid");

        private final String label;

        Kind(String label) {
            this.label = label;
        }

        /** The name in configs. */
        public String label() {
            return label;
        }

        /** Returns whether the smooth layer is a norm. */
        public boolean afterNorm() {
            return this == ATTENTION_IN || this == MLP_IN;
        }

        /** Returns whether the factors follow from an activation. */
        public boolean hasActivation() {
            return this != QUERY_KEY;
        }
    }

    public SmoothingMapping {
        balanceLayers = List.copyOf(balanceLayers);
        startLayers = List.copyOf(startLayers);
    }

    /** A mapping whose factors start from the first balance layer's weights. */
    static SmoothingMapping of(Kind kind, HookPoint hookPoint, String smoothLayer, List<String> balanceLayers) {
        return new SmoothingMapping(
                kind, Optional.of(hookPoint), smoothLayer, balanceLayers, balanceLayers.subList(0, 1));
    }

    /** The name in files: its kind, and of those in an expert which. */
    public String label() {
        String expert = expert();
        return expert.isEmpty() ? kind.label() : kind.label() + "." + expert;
    }

    /** The expert that it is in, see {@link HookPoint}; empty for all others. */
    private String expert() {
        return hookPoint.map(HookPoint::expert).orElse("");
    }
}
