package dev.ptq.export;

import dev.ptq.layout.Packer;
import java.util.Optional;
import java.util.function.Supplier;

/** The layouts of exported weights. */
public enum ExportFormat {
    /** Rounded values as floating point numbers: every program reads them. */
    FLOAT("float", Optional::empty),
    /** Codes and scales of compressed-tensors, pack-quantized. */
    COMPRESSED_TENSORS("compressed-tensors", () -> Optional.of(Packer.compressedTensors())),
    /** Those of GPTQ, version 1. */
    GPTQ("gptq", () -> Optional.of(Packer.gptq(false))),
    /** Those of GPTQ, version 2, with zero points as they are. */
    GPTQ_V2("gptq-v2", () -> Optional.of(Packer.gptq(true))),
    /** Those of AWQ, version gemm. */
    AWQ("awq", () -> Optional.of(Packer.awq()));

    private final String label;
    private final Supplier<Optional<Packer>> packers;

    ExportFormat(String label, Supplier<Optional<Packer>> packers) {
        this.label = label;
        this.packers = packers;
    }

    /** The name on the command line. */
    @Override
    public String toString() {
        return label;
    }

    /** Returns a new packer of weights; empty if they stay floating point numbers. */
    Optional<Packer> packer() {
        return packers.get();
    }
}
