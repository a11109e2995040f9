package dev.ptq.model;

/** A point where an activation enters linear layers; linears that share an input share its hook point. */
public enum HookPoint {
    /** The input of the query, key and value projections. */
    ATTENTION_IN("attn_in"),
    /** The input of attention's output projection. */
    ATTENTION_OUT("attn_out"),
    /** The input of the MLP's first linears. */
    MLP_IN("mlp_in"),
    /** The input of the MLP's last linear. */
    MLP_MID("mlp_mid");

    private final String label;

    HookPoint(String label) {
        this.label = label;
    }

    /** The name in files and configs. */
    public String label() {
        return label;
    }
}
