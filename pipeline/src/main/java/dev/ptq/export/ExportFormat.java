package dev.ptq.export;

import dev.ptq.layout.Packer;
import dev.ptq.layout.ScaleStore;
import java.util.Optional;

/** The layouts of exported weights. */
public enum ExportFormat {
    /** Rounded values as floating point numbers: every program reads them. */
    FLOAT("float"),
    /** Those of compressed-tensors: packed integers and small floats. */
    COMPRESSED_TENSORS("compressed-tensors"),
    /** That of GPTQ, version 1. */
    GPTQ("gptq"),
    /** That of GPTQ, version 2, with zero points as they are. */
    GPTQ_V2("gptq-v2"),
    /** That of AWQ, version gemm. */
    AWQ("awq");

    private final String label;

    ExportFormat(String label) {
        this.label = label;
    }

    /** The name on the command line. */
    @Override
    public String toString() {
        return label;
    }

    /** Returns a new packer of weights that stores scales so; empty if they stay floating point numbers. */
    Optional<Packer> packer(ScaleStore scales) {
        return switch (this) {
            case FLOAT -> Optional.empty();
            case COMPRESSED_TENSORS -> Optional.of(Packer.compressedTensors(scales));
            case GPTQ -> Optional.of(Packer.gptq(scales, false));
            case GPTQ_V2 -> Optional.of(Packer.gptq(scales, true));
            case AWQ -> Optional.of(Packer.awq(scales));
        };
    }
}
