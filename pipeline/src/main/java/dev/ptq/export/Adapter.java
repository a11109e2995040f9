package dev.ptq.export;

/** The place of low-rank corrections. */
public enum Adapter {
    /** Within the weights beside them. */
    FOLD("fold"),
    /** In a folder of their own, as the peft library has LoRA. */
    PEFT("peft");

    private final String label;

    Adapter(String label) {
        this.label = label;
    }

    /** The name on the command line. */
    @Override
    public String toString() {
        return label;
    }
}
