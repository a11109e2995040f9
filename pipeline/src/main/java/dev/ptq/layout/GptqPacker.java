package dev.ptq.layout;

import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.layout.IntegerMatrix.Scheme;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Writes the layout of GPTQ. */
final class GptqPacker implements Packer {
    private static final String NAME = "gptq";
    private static final Set<Integer> BITS = new TreeSet<>(Set.of(2, 3, 4, 8));

    private final ScaleStore scales;
    private final boolean isSecond;
    private final OneScheme scheme = new OneScheme(NAME);

    /**
     * Makes a packer.
     *
     * @param isSecond whether zero points are stored as they are
     */
    GptqPacker(ScaleStore scales, boolean isSecond) {
        this.scales = scales;
        this.isSecond = isSecond;
    }

    @Override
    public Map<String, RawTensor> pack(String module, Grid grid, NumberFormat input) throws IOException {
        IntegerMatrix matrix = IntegerMatrix.of(grid, NAME);
        Scheme own = matrix.scheme();
        if (!BITS.contains(own.bits())) {
            throw new IOException(
                    NAME + " has no place for codes of " + own.bits() + " bits; set bits to one of " + BITS);
        }
        Words words = Words.dense(own.bits());
        int out = matrix.out();
        int in = matrix.in();
        int groups = matrix.groups();
        scheme.take(own);
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        tensors.put(
                "qweight",
                new RawTensor(
                        StoredType.I32,
                        List.of((long) words.count(in), (long) out),
                        words.pack(matrix.codes(), Words.Lines.columns(0, out, out, in), words.count(in) * out)));
        tensors.put(
                "qzeros",
                new RawTensor(
                        StoredType.I32,
                        List.of((long) groups, (long) words.count(out)),
                        Gptq.packZeroPoints(own.bits(), !isSecond, matrix.turnedZeros(), groups, out)));
        tensors.put("scales", scales.tensor(matrix.turnedScales(), groups, out));
        tensors.put("g_idx", RawTensor.of(matrix.groupOfColumn(), in));
        return tensors;
    }

    @Override
    public Map<String, @Nullable Object> config(List<String> unpacked) throws IOException {
        Scheme all = scheme.get();
        String version = isSecond ? "gptq_v2" : "gptq";
        Map<String, @Nullable Object> config = new LinkedHashMap<>();
        config.put("bits", all.bits());
        config.put("checkpoint_format", version);
        config.put("desc_act", all.ordered());
        Map<String, Object> rules = new LinkedHashMap<>();
        unpacked.forEach(module -> rules.put("-:^" + quoted(module) + "$", Map.of()));
        config.put("dynamic", rules);
        config.put("format", version);
        config.put("group_size", all.groupSize());
        config.put("lm_head", false);
        config.put("method", NAME);
        config.put("pack_dtype", "int32");
        config.put("quant_method", NAME);
        config.put("sym", all.symmetric());
        return config;
    }

    /** A name as an expression that Java and Python read alike. */
    private static String quoted(String name) {
        return Pattern.compile("[^A-Za-z0-9_]").matcher(name).replaceAll("\\\\$0");
    }
}
