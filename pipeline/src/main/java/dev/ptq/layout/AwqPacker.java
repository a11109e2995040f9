package dev.ptq.layout;

import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.layout.IntegerMatrix.Scheme;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Writes the layout of AWQ, version gemm. */
final class AwqPacker implements Packer {
    private static final String NAME = "awq";
    private static final int BITS = 4;
    private static final int PER_WORD = 8;

    private final ScaleStore scales;
    private final OneScheme scheme = new OneScheme(NAME);
    private final List<String> packed = new ArrayList<>();

    AwqPacker(ScaleStore scales) {
        this.scales = scales;
    }

    @Override
    public Map<String, RawTensor> pack(String module, Grid grid, NumberFormat input) throws IOException {
        IntegerMatrix matrix = IntegerMatrix.of(grid, NAME);
        Scheme own = matrix.scheme();
        if (own.bits() != BITS) {
            throw new IOException(NAME + " has no place for codes of " + own.bits() + " bits; set bits = 4");
        }
        if (own.ordered()) {
            throw new IOException(NAME + " has no place for groups of other columns than neighbours; --format gptq has,"
                    + " and gptq with an order of \"static\" groups does not need it");
        }
        int out = matrix.out();
        int in = matrix.in();
        int groups = matrix.groups();
        if (out % PER_WORD != 0) {
            throw new IOException(NAME + " has a place for multiples of " + PER_WORD + " output features, got " + out
                    + "; --format gptq has one for all");
        }
        scheme.take(own);
        packed.add(module);
        byte[] zeros = matrix.zeros();
        long words = out / PER_WORD;
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put(
                "qweight", new RawTensor(StoredType.I32, List.of((long) in, words), Awq.pack(matrix.codes(), in, out)));
        tensors.put(
                "qzeros", new RawTensor(StoredType.I32, List.of((long) groups, words), Awq.pack(zeros, groups, out)));
        tensors.put("scales", scales.tensor(matrix.turnedScales(), groups, out));
        return tensors;
    }

    @Override
    public Map<String, @Nullable Object> config(List<String> unpacked) throws IOException {
        Scheme all = scheme.get();
        for (String module : packed) {
            for (String other : unpacked) {
                if (module.contains(other)) {
                    throw new IOException(NAME + " names modules that are not packed by a part of their name, and "
                            + other + " is a part of " + module + "; --format gptq names them whole");
                }
            }
        }
        Map<String, @Nullable Object> config = new LinkedHashMap<>();
        config.put("bits", all.bits());
        config.put("group_size", all.groupSize());
        config.put("modules_to_not_convert", unpacked);
        config.put("quant_method", NAME);
        config.put("version", "gemm");
        config.put("zero_point", !all.symmetric());
        return config;
    }
}
