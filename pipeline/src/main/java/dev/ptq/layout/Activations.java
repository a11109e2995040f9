package dev.ptq.layout;

import dev.ptq.format.Fp8Format;
import dev.ptq.format.GivenScaleFormat;
import dev.ptq.format.IntegerFormat;
import dev.ptq.format.IntegerGrid;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.MxFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.RangedFormat;
import dev.ptq.format.SmallFloat;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.List;

/** The formats of activations as compressed-tensors describes them: {@code input_activations} and {@code kv_cache_scheme}. */
final class Activations {
    static final String SCALE = "input_scale";
    static final String ZERO_POINT = "input_zero_point";
    static final String GLOBAL_SCALE = "input_global_scale";
    private static final String STRATEGY = "strategy";

    /** The names of tensors that they need. */
    static final List<String> SUFFIXES = List.of(SCALE, ZERO_POINT, GLOBAL_SCALE);

    private Activations() {}

    /** Returns E4M3 with this scale. */
    static NumberFormat fp8(float scale) {
        return new GivenScaleFormat(new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.TENSOR), scale, 0);
    }

    /** Returns the format of the input of a linear. */
    static NumberFormat read(QuantizationConfig scheme, ModuleTensors tensors) throws IOException {
        int bits = scheme.number("num_bits");
        boolean isFloat = isFloat(scheme);
        String strategy = scheme.text(STRATEGY, "tensor");
        boolean isSymmetric = scheme.flag("symmetric", true);
        if (isFloat && !isSymmetric) {
            throw scheme.wrong("symmetric", "true");
        }
        boolean isLocal = scheme.json().path("dynamic").isString();
        if (isLocal) {
            scheme.expect("dynamic", "", "local");
        }
        if (isFloat && bits == 4) {
            return fp4(scheme, tensors, strategy, isLocal);
        }
        if (bits != 8 || isLocal) {
            throw scheme.wrong(isLocal ? "dynamic" : "num_bits", isLocal ? "true or false" : "8, or 4 of type float");
        }
        boolean isMx = isFloat
                && strategy.equals("group")
                && scheme.text("scale_dtype", "").endsWith("uint8");
        if (!scheme.flag("dynamic", false)) {
            scheme.expect(STRATEGY, "tensor", "tensor");
            return isFloat ? fp8(tensors.scalar(SCALE)) : integers(tensors, isSymmetric);
        }
        if (isMx) {
            return mx(scheme, SmallFloat.E4M3);
        }
        return isFloat ? fp8(scheme, strategy) : integers(scheme, strategy, isSymmetric);
    }

    private static boolean isFloat(QuantizationConfig scheme) throws IOException {
        scheme.expect("type", "int", "int", "float");
        return scheme.text("type", "int").equals("float");
    }

    private static NumberFormat fp4(QuantizationConfig scheme, ModuleTensors tensors, String strategy, boolean isLocal)
            throws IOException {
        if (strategy.equals("tensor_group") && isLocal && scheme.number("group_size") == 16) {
            return new GivenScaleFormat(new Nvfp4Format(), tensors.scalar(GLOBAL_SCALE), 0);
        }
        if (!strategy.equals("group") || isLocal || !scheme.flag("dynamic", false)) {
            throw scheme.wrong(STRATEGY, "\"group\" that is dynamic, or \"tensor_group\" of 16 that is \"local\"");
        }
        return mx(scheme, SmallFloat.E2M1);
    }

    private static NumberFormat mx(QuantizationConfig scheme, SmallFloat element) throws IOException {
        if (scheme.number("group_size") != 32) {
            throw scheme.wrong("group_size", "32");
        }
        return mx(element);
    }

    /** Blocks of 32 with scales that are powers of two. */
    static MxFormat mx(SmallFloat element) {
        return new MxFormat(element, 32, MxFormat.ScaleRule.EVEN_E2M1, SmallFloat.Ties.EVEN, false);
    }

    private static NumberFormat fp8(QuantizationConfig scheme, String strategy) throws IOException {
        return switch (strategy) {
            case "token" -> new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.TOKEN);
            case "tensor" -> new Fp8Format(SmallFloat.E4M3, Fp8Format.Granularity.TENSOR);
            case "group" ->
                new Fp8Format(
                        SmallFloat.E4M3,
                        Fp8Format.Granularity.BLOCK,
                        List.of(1, positive(scheme, "group_size")),
                        Fp8Format.Rule.COMPRESSED_TENSORS);
            default -> throw scheme.wrong(STRATEGY, "one of [token, tensor, group]");
        };
    }

    private static NumberFormat integers(QuantizationConfig scheme, String strategy, boolean isSymmetric)
            throws IOException {
        return switch (strategy) {
            case "token" -> grid(IntegerFormat.Granularity.TOKEN, 0, isSymmetric);
            case "tensor" -> grid(IntegerFormat.Granularity.TENSOR, 0, isSymmetric);
            case "group" -> grid(IntegerFormat.Granularity.GROUP, positive(scheme, "group_size"), isSymmetric);
            default -> throw scheme.wrong(STRATEGY, "one of [token, tensor, group]");
        };
    }

    /** Integers of 8 bits. */
    static RangedFormat grid(IntegerFormat.Granularity granularity, int groupSize, boolean isSymmetric) {
        return new IntegerGridFormat(
                8,
                granularity,
                groupSize,
                IntegerGrid.COMPRESSED_TENSORS,
                isSymmetric ? IntegerGrid.Mapping.SYMMETRIC : IntegerGrid.Mapping.ASYMMETRIC,
                IntegerFormat.Range.MINMAX);
    }

    private static NumberFormat integers(ModuleTensors tensors, boolean isSymmetric) throws IOException {
        int zeroPoint = 0;
        if (tensors.has(ZERO_POINT)) {
            zeroPoint = tensors.raw(ZERO_POINT, StoredType.I8, 1).get(0);
            if (isSymmetric && zeroPoint != 0) {
                throw tensors.wrong(ZERO_POINT, "expected 0 with symmetric = true", zeroPoint);
            }
        } else if (!isSymmetric) {
            throw new IOException(
                    tensors.name(ZERO_POINT) + ": there is no such tensor, but symmetric = false needs it");
        }
        return new GivenScaleFormat(
                grid(IntegerFormat.Granularity.TENSOR, 0, isSymmetric), tensors.scalar(SCALE), zeroPoint);
    }

    static int positive(QuantizationConfig scheme, String key) throws IOException {
        int found = scheme.number(key);
        if (found < 1 || found > 1 << 24) {
            throw scheme.wrong(key, "from 1 to " + (1 << 24));
        }
        return found;
    }

    /** Returns the format of keys or of values with a stored scale. */
    static NumberFormat ofCache(QuantizationConfig scheme, float scale) throws IOException {
        return isFloat(scheme)
                ? fp8(scale)
                : new GivenScaleFormat(grid(IntegerFormat.Granularity.TENSOR, 0, true), scale, 0);
    }

    /** Checks the description of a cache: 8 bits, with one stored scale for all keys and one for all values of a layer. */
    static void checkCache(QuantizationConfig scheme) throws IOException {
        isFloat(scheme);
        scheme.expect(STRATEGY, "tensor", "tensor");
        if (scheme.number("num_bits") != 8) {
            throw scheme.wrong("num_bits", "8");
        }
        if (scheme.flag("dynamic", false)) {
            throw scheme.wrong("dynamic", "false");
        }
        if (!scheme.flag("symmetric", true)) {
            throw scheme.wrong("symmetric", "true");
        }
    }
}
