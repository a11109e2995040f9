package dev.ptq.tensor;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.engine.PtSymbolBlock;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.pytorch.jni.JniUtils;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Optional;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * PyTorch operators missing from the engine's array interface, called through a TorchScript module that is made in
 * memory from {@code operators.py}. Results are attached to the manager of the first argument. All but {@link #linear}
 * take part in automatic differentiation; {@link #differentiableLinear} is for that.
 */
public final class Torch {
    /** The smallest step of integers in a {@link Integers#PLAIN} range, relative to its larger end. */
    public static final float LEAST_STEP = 0x1p-20f;

    /** The smallest magnitude of a scale of {@link #fullRange}. */
    public static final float LEAST_FULL_RANGE = 1e-5f;

    /** The range of integers, given the least and the largest value. */
    public enum Integers {
        /** From minus the larger magnitude to the larger magnitude, without a zero point. */
        SYMMETRIC("symmetric_range"),
        /** From the least value or 0 to the largest or 0. */
        WITH_ZERO("range_with_zero"),
        /** From the least value to the largest. */
        PLAIN("plain_range");

        private final String operator;

        Integers(String operator) {
            this.operator = operator;
        }
    }

    /** Scores at a time in {@link #branchedAttention}, where that takes a quarter to all of {@link #QUERIES} queries. */
    private static final int SCORES = 1 << 18;

    private static final int QUERIES = 128;

    private static final String OPERATORS = "operators.py";

    private static final Torch INSTANCE = new Torch();

    private final NDManager manager;
    private final PtSymbolBlock module;

    private Torch() {
        manager = TensorEngine.newManager();
        try {
            byte[] archive = archive(operators());
            module = JniUtils.loadModule((PtNDManager) manager, new ByteArrayInputStream(archive), false, false);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String operators() throws IOException {
        try (InputStream source = Torch.class.getResourceAsStream(OPERATORS)) {
            if (source == null) {
                throw new IOException("no " + OPERATORS + " beside " + Torch.class + "; the program is incomplete");
            }
            return new String(source.readAllBytes(), StandardCharsets.UTF_8)
                    .replace("LEAST_STEP", Double.toString(LEAST_STEP))
                    .replace("LEAST_FULL_RANGE", Double.toString(LEAST_FULL_RANGE))
                    .replace("SCORES", Integer.toString(SCORES));
        }
    }

    /**
     * Returns {@code x wᵀ + b} by oneDNN, which on many processors is about twice as fast as {@code matMul}; not
     * differentiable.
     *
     * @param x {@code [..., inFeatures]}, float32
     * @param weight {@code [outFeatures, inFeatures]}, float32
     */
    public static NDArray linear(NDArray x, NDArray weight) {
        return call("linear", x, weight).get(0);
    }

    /** Like {@link #linear(NDArray, NDArray)}, with {@code bias [outFeatures]} added. */
    public static NDArray linear(NDArray x, NDArray weight, NDArray bias) {
        return call("linear_bias", x, weight, bias).get(0);
    }

    /**
     * Like {@link #linear(NDArray, NDArray)}, with gradients for both, also in float64; the factors must be contiguous.
     */
    public static NDArray differentiableLinear(NDArray x, NDArray weight) {
        // below this size the way to oneDNN's layout and back costs more than its product saves
        boolean small = weight.size() < 1 << 16 || weight.getDataType() != DataType.FLOAT32;
        return call(small ? "small_linear" : "differentiable_linear", x, weight).get(0);
    }

    /**
     * Returns {@code log Σ exp(x)} over the last axis, float64, and the largest value, float32. Terms are those of float32
     * and summed in float64, which is off by some 1e-8.
     */
    public static NDList logSumExp(NDArray x) {
        return call("logsumexp", x);
    }

    /** Returns {@code x / sqrt(mean(x²) + epsilon) · weight} over the last axis; {@code epsilon} is a scalar tensor. */
    public static NDArray rmsNorm(NDArray x, NDArray weight, NDArray epsilon) {
        return call("rms_norm", x, weight, epsilon).get(0);
    }

    /** Returns the layer norm over the last axis; weight and bias may be missing. */
    public static NDArray layerNorm(NDArray x, @Nullable NDArray weight, @Nullable NDArray bias, double epsilon) {
        NDArray number = x.getManager().create(epsilon);
        if (weight == null) {
            return call("layer_norm_plain", x, number).get(0);
        }
        return bias == null
                ? call("layer_norm_weight", x, weight, number).get(0)
                : call("layer_norm", x, weight, bias, number).get(0);
    }

    /** Returns {@code x · Φ(x)}. */
    public static NDArray gelu(NDArray x) {
        return call("gelu", x).get(0);
    }

    /** Returns {@link #gelu}, approximated by a hyperbolic tangent. */
    public static NDArray geluTanh(NDArray x) {
        return call("gelu_tanh", x).get(0);
    }

    /** Returns {@code bound · tanh(x / bound)}. */
    public static NDArray softcap(NDArray x, double bound) {
        return call("softcap", x, x.getManager().create((float) bound)).get(0);
    }

    /**
     * Returns {@code x} where a condition is 1, and {@code y} where it is 0.
     *
     * @param condition broadcast to {@code x}
     * @param y of the shape of {@code x}
     */
    public static NDArray where(NDArray condition, NDArray x, NDArray y) {
        return call("where", condition, x, y).get(0);
    }

    /**
     * Returns {@code x} with values added to some of its rows.
     *
     * @param rows int64, each at most once
     */
    public static NDArray addRows(NDArray x, NDArray rows, NDArray values) {
        return call("add_rows", x, rows, values).get(0);
    }

    /** Returns {@code x · sigmoid(x) · y}. */
    public static NDArray siluTimes(NDArray x, NDArray y) {
        return call("silu_mul", x, y).get(0);
    }

    /**
     * Rotates each pair {@code (i, i + headDim / 2)} of the last axis.
     *
     * @param x {@code [..., tokens, headDim]}
     * @param cos {@code [tokens, headDim / 2]}, or what broadcasts to {@code x} likewise
     * @param sin likewise
     */
    public static NDArray rotate(NDArray x, NDArray cos, NDArray sin) {
        return call("rotate", x, cos, sin).get(0);
    }

    /** Like {@link #rotate}, for the first channels of the last axis, twice as many as there are cosines. */
    public static NDArray rotatePart(NDArray x, NDArray cos, NDArray sin) {
        return call("rotate_part", x, cos, sin).get(0);
    }

    /** Like {@link #rotatePart}, for the pairs {@code (2i, 2i + 1)}. */
    public static NDArray rotateNeighbours(NDArray x, NDArray cos, NDArray sin) {
        return call("rotate_neighbours", x, cos, sin).get(0);
    }

    /**
     * Returns causal attention with scores divided by {@code √headDim}, as one fused operator.
     *
     * @param query {@code [batch, heads, tokens, headDim]}
     * @param key {@code [batch, kvHeads, tokens, headDim]}; each serves {@code heads / kvHeads} neighbouring queries
     * @param value likewise
     */
    public static NDArray causalAttention(NDArray query, NDArray key, NDArray value) {
        return call("attention", query, key, value).get(0);
    }

    /**
     * Like {@link #causalAttention}, but not differentiable, and the last queries have their own mask. A query may see
     * keys up to its own. A few queries are taken at a time, with no more keys than they may see.
     *
     * @param window from {@link #window}, for at least as many tokens as there are
     * @param mask {@code [batch, 1, rows, tokens]}, added to the scores of the last queries; it may have no rows
     * @param bias {@code [1 or batch, heads, 1, tokens]}, added to the scores of keys; it may have no tokens
     * @param softcap bound of the scores, as in {@link #softcap}, or no value
     */
    public static NDArray branchedAttention(
            NDArray query, NDArray key, NDArray value, NDArray window, NDArray mask, NDArray bias, NDArray softcap) {
        return call("branched_attention", query, key, value, window, mask, bias, softcap)
                .get(0);
    }

    /**
     * The causal masks of a few queries anywhere among {@code tokens}, as parts of one: {@code [few, tokens + few]}.
     *
     * @param seen positions that a query sees, its own included
     */
    public static NDArray window(NDManager manager, int tokens, int seen) {
        int columns = tokens + QUERIES;
        float[] window = new float[QUERIES * columns];
        for (int row = 0; row < QUERIES; row++) {
            Arrays.fill(window, row * columns + tokens + row + 1, (row + 1) * columns, Float.NEGATIVE_INFINITY);
            int first = Math.max(0, tokens + row + 1 - seen);
            Arrays.fill(window, row * columns, row * columns + first, Float.NEGATIVE_INFINITY);
        }
        return NativeFloats.of(manager, window, QUERIES, columns);
    }

    /**
     * Returns causal attention's probabilities, {@code softmax(q kᵀ / divisor + mask)}.
     *
     * @param query {@code [..., tokens, headDim]}
     * @param key likewise, or with dimensions of 1 that serve all
     * @param mask {@code [tokens, tokens]}
     * @param divisor a scalar tensor
     */
    public static NDArray attentionProbabilities(NDArray query, NDArray key, NDArray mask, NDArray divisor) {
        return call("attention_probabilities", query, key, mask, divisor).get(0);
    }

    /** Returns {@code mean((x - target)²)}, a scalar. */
    public static NDArray meanSquaredError(NDArray x, NDArray target) {
        return call("mean_squared_error", x, target).get(0);
    }

    /** Returns the mean over all but the last axis of the cosine between {@code x} and {@code target}, a scalar. */
    public static NDArray meanCosine(NDArray x, NDArray target) {
        return call("mean_cosine", x, target).get(0);
    }

    /** Returns the inverses of square matrices, {@code [..., n, n]}, computed in float64, in the type of {@code x}. */
    public static NDArray inverse(NDArray x) {
        return call("inverse", x).get(0);
    }

    /** Returns the rows of {@code table} at int64 {@code indices}, which must own their memory. */
    public static NDArray embedding(NDArray table, NDArray indices) {
        return call("embedding", table, indices).get(0);
    }

    /**
     * Returns the mean of {@code -log softmax(logits)[target]}, a scalar.
     *
     * @param logits {@code [rows, classes]}
     * @param targets {@code [rows]}, int64, owning their memory
     */
    public static NDArray crossEntropy(NDArray logits, NDArray targets) {
        return call("cross_entropy", logits, targets).get(0);
    }

    /** Returns {@code x} with a random share {@code rate} (a scalar tensor) of its values zero, the others scaled up. */
    public static NDArray dropout(NDArray x, NDArray rate) {
        return call("dropout", x, rate).get(0);
    }

    /** Returns the values row by row in their own memory, copied only if necessary. */
    public static NDArray contiguous(NDArray x) {
        return call("contiguous", x).get(0);
    }

    /**
     * Returns {@code scale (clamp(round(x / divisor) + zeroPoint) - zeroPoint)}, float32 or float64. Rounding has
     * derivative one, clamping that of its values: zero outside.
     *
     * @param divisor broadcast to {@code x}, as are scale and zero point
     * @param codes as {@link #codes} gives them
     */
    public static NDArray integersByDivisor(
            NDArray x, NDArray divisor, NDArray scale, NDArray zeroPoint, NDArray codes) {
        return call("integers_by_divisor", x, divisor, scale, zeroPoint, codes).get(0);
    }

    /**
     * Returns {@code x} rounded to integers whose scale and zero point follow from the range of each line of the last
     * axis, its upper end times {@code upper} and its lower end times {@code lower}. The derivative reaches the extreme
     * values through the scale; the zero point passes none.
     *
     * @param upper {@code [..., 1]}, or a scalar
     * @param lower likewise
     * @param codes as {@link #codes} gives them
     */
    public static NDArray integersInRange(Integers kind, NDArray x, NDArray upper, NDArray lower, NDArray codes) {
        return call("integers_in_" + kind.operator, x, upper, lower, codes).get(0);
    }

    /** Returns the scale and the zero point that {@link #integersInRange} takes for each line, both {@code [..., 1]}. */
    public static NDList rangeOfIntegers(Integers kind, NDArray x, NDArray upper, NDArray lower, NDArray codes) {
        return call(kind.operator, x, upper, lower, codes);
    }

    /**
     * Returns the scale and the zero point, both {@code [..., 1]}, of integers whose range is that of each line of the last
     * axis and 0, its upper end times {@code upper} and its lower end times {@code lower}. Symmetric: the larger end has
     * the lowest code, so the scale is negative if that is the upper end. The derivative reaches the ends through scale and
     * zero point; rounding has derivative one.
     *
     * @param upper {@code [..., 1]}
     * @param lower likewise
     * @param codes as {@link #codes} gives them
     * @param half a scalar: 1 if the scale is rounded to float16, else 0
     */
    public static NDList fullRange(
            boolean symmetric, NDArray x, NDArray upper, NDArray lower, NDArray codes, NDArray half) {
        return call(symmetric ? "full_symmetric_range" : "full_range", x, upper, lower, codes, half);
    }

    /**
     * Returns {@code scale (clamp(round(x / scale + shift) + zeroPoint) - zeroPoint)}, float32 or float64. Rounding has
     * derivative one. The lowest and the highest code have none: their values depend on scale and zero point alone, as if
     * they had been clamped.
     *
     * @param shift of the shape of {@code x}
     * @param scale broadcast to {@code x}, as is the zero point
     * @param codes as {@link #codes} gives them
     */
    public static NDArray shiftedIntegers(NDArray x, NDArray shift, NDArray scale, NDArray zeroPoint, NDArray codes) {
        return call("shifted_integers", x, shift, scale, zeroPoint, codes).get(0);
    }

    /** Returns the lowest and the highest code, for the functions above. */
    public static NDArray codes(NDManager manager, float lowest, float highest) {
        return NativeFloats.of(manager, new float[] {lowest, highest}, 2);
    }

    /** Returns the reduced singular value decomposition {@code U, S, Vᵀ} of a matrix. */
    public static NDList svd(NDArray x) {
        return call("svd", x);
    }

    /** Returns the reduced QR decomposition {@code Q, R} of a matrix. */
    public static NDList qr(NDArray x) {
        return call("qr", x);
    }

    /** Returns eigenvalues, ascending, and eigenvectors, as columns, of a symmetric matrix. */
    public static NDList eigh(NDArray x) {
        return call("eigh", x);
    }

    /**
     * Returns the upper triangular matrix {@code U}, float32, with {@code x⁻¹ = Uᵀ U}, found in float64; empty if {@code x}
     * is not positive definite.
     *
     * @param x symmetric
     */
    public static Optional<NDArray> inverseFactor(NDArray x) {
        NDList found = call("inverse_factor", x);
        try (NDArray info = found.get(1).toType(DataType.FLOAT32, true)) {
            if (info.getFloat() == 0 && NativeFloats.allFinite(found.get(0))) {
                return Optional.of(found.get(0));
            }
        }
        found.close();
        return Optional.empty();
    }

    /** Returns the singular values of a matrix, descending, without the vectors. */
    public static NDArray singularValues(NDArray x) {
        return call("svdvals", x).get(0);
    }

    /** Returns the eigenvalues of a symmetric matrix, ascending, without the vectors. */
    public static NDArray eigenvalues(NDArray x) {
        return call("eigvalsh", x).get(0);
    }

    private static NDList call(String method, NDArray... arguments) {
        NDList list = new NDList(arguments);
        TensorEngine.runAsWritten();
        // the engine's own way to name the method; asked for as training, since results of inference mode are refused
        // later by automatic differentiation
        try (NDArray name = arguments[0].getManager().create(0f)) {
            name.setName("module_method:" + method);
            list.add(name);
            return IValueUtils.forward(INSTANCE.module, list, true);
        }
    }

    /** The archive that PyTorch loads: a pickle that makes one {@code Operators}, and its source. */
    private static byte[] archive(String code) throws IOException {
        ByteArrayOutputStream object = new ByteArrayOutputStream();
        object.write(new byte[] {(byte) 0x80, 2});
        object.writeBytes("c__torch__\nOperators\n)".getBytes(StandardCharsets.US_ASCII));
        object.write(0x81);
        object.writeBytes("}(X".getBytes(StandardCharsets.US_ASCII));
        object.write(new byte[] {8, 0, 0, 0});
        object.writeBytes("training".getBytes(StandardCharsets.US_ASCII));
        object.write(0x88);
        object.writeBytes("ub.".getBytes(StandardCharsets.US_ASCII));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            zip.setMethod(ZipOutputStream.STORED);
            store(zip, "m/data.pkl", object.toByteArray());
            store(zip, "m/code/__torch__.py", code.getBytes(StandardCharsets.UTF_8));
            store(zip, "m/constants.pkl", new byte[] {(byte) 0x80, 2, ')', '.'});
            store(zip, "m/version", "10\n".getBytes(StandardCharsets.US_ASCII));
        }
        return bytes.toByteArray();
    }

    private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
        CRC32 checksum = new CRC32();
        checksum.update(content);
        ZipEntry entry = new ZipEntry(name);
        entry.setSize(content.length);
        entry.setCompressedSize(content.length);
        entry.setCrc(checksum.getValue());
        zip.putNextEntry(entry);
        zip.write(content);
        zip.closeEntry();
    }
}
