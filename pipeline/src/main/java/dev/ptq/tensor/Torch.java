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
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * PyTorch operators that the engine's array interface does not offer, called through a TorchScript module that is
 * written in memory. Results are attached to the manager of the first argument. All but {@link #linear} take part in
 * automatic differentiation; {@link #differentiableLinear} is for that.
 */
public final class Torch {
    /** The smallest step of integers in a {@link Integers#PLAIN} range, relative to its larger end. */
    public static final float LEAST_STEP = 0x1p-20f;

    /** What the range of integers is, given the least and the largest value. */
    public enum Integers {
        /** From minus the larger magnitude to the larger magnitude, without a zero point. */
        SYMMETRIC(0),
        /** From the least value or 0 to the largest or 0. */
        WITH_ZERO(1),
        /** From the least value to the largest. */
        PLAIN(2);

        private final float number;

        Integers(float number) {
            this.number = number;
        }
    }

    /** Scores at a time in {@link #branchedAttention}, where that takes a quarter to all of {@link #QUERIES} queries. */
    private static final int SCORES = 1 << 18;

    private static final int QUERIES = 128;

    private static final String CODE = """
            class M(Module):
              __parameters__ = []
              __buffers__ = []
              training : bool
              def linear(self: __torch__.M, x: Tensor, w: Tensor) -> Tensor:
                return ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
              def linear_bias(self: __torch__.M, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
                return ops.mkldnn._linear_pointwise(x, w, b, "none", [], "")
              def differentiable_linear(self: __torch__.M, x: Tensor, w: Tensor) -> Tensor:
                return torch.to_dense(ops.aten.mkldnn_linear(torch.to_mkldnn(x), w, None))
              def logsumexp(self: __torch__.M, x: Tensor) -> Tensor:
                return torch.logsumexp(torch.to(x, 7), [-1])
              def rms_norm(self: __torch__.M, x: Tensor, w: Tensor, eps: Tensor) -> Tensor:
                r = torch.rsqrt(torch.add(torch.mean(torch.mul(x, x), [-1], True), eps))
                return torch.mul(torch.mul(x, r), w)
              def layer_norm(self: __torch__.M, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
                return torch.layer_norm(x, [torch.size(x, -1)], w, b, 1.0000000000000001e-05)
              def silu_mul(self: __torch__.M, x: Tensor, y: Tensor) -> Tensor:
                return torch.mul(torch.silu(x), y)
              def rotate(self: __torch__.M, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
                a, b, = torch.chunk(x, 2, -1)
                c = torch.sub(torch.mul(a, cos), torch.mul(b, sin))
                d = torch.add(torch.mul(b, cos), torch.mul(a, sin))
                return torch.cat([c, d], -1)
              def attention(self: __torch__.M, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                n = torch.floordiv(torch.size(q, 1), torch.size(k, 1))
                a = torch.repeat_interleave(k, n, 1)
                b = torch.repeat_interleave(v, n, 1)
                return torch.scaled_dot_product_attention(q, a, b, None, 0., True)
              def branched_attention(self: __torch__.M, q: Tensor, k: Tensor, v: Tensor, c: Tensor, m: Tensor) -> Tensor:
                g = torch.floordiv(torch.size(q, 1), torch.size(k, 1))
                e = torch.repeat_interleave(k, g, 1)
                f = torch.repeat_interleave(v, g, 1)
                n = torch.size(q, 2)
                r = torch.size(c, 0)
                t = torch.sub(n, torch.size(m, 2))
                z = torch.sub(torch.size(c, 1), r)
                s = torch.mul(torch.mul(torch.size(q, 0), torch.size(q, 1)), n)
                h = ops.prim.min(r, ops.prim.max(torch.floordiv(r, 4), torch.floordiv(SCORES, s)))
                parts = annotate(List[Tensor], [])
                for i in range(torch.floordiv(torch.sub(torch.add(t, h), 1), h)):
                  a = torch.mul(i, h)
                  b = ops.prim.min(torch.add(a, h), t)
                  w = torch.slice(torch.slice(c, 0, 0, torch.sub(b, a)), 1, torch.sub(z, a), torch.add(torch.sub(z, a), b))
                  p = torch.scaled_dot_product_attention(torch.slice(q, 2, a, b), torch.slice(e, 2, 0, b), torch.slice(f, 2, 0, b), w, 0., False)
                  parts = torch.append(parts, p)
                for i in range(torch.floordiv(torch.sub(torch.add(torch.sub(n, t), h), 1), h)):
                  a = torch.mul(i, h)
                  b = ops.prim.min(torch.add(a, h), torch.sub(n, t))
                  u = torch.add(t, b)
                  w = torch.slice(torch.slice(m, 2, a, b), 3, 0, u)
                  p = torch.scaled_dot_product_attention(torch.slice(q, 2, torch.add(t, a), u), torch.slice(e, 2, 0, u), torch.slice(f, 2, 0, u), w, 0., False)
                  parts = torch.append(parts, p)
                return torch.cat(parts, 2)
              def attention_probabilities(self: __torch__.M, q: Tensor, k: Tensor, m: Tensor, d: Tensor) -> Tensor:
                s = torch.div(torch.matmul(q, torch.transpose(k, -2, -1)), d)
                return torch.softmax(torch.add(s, m), -1)
              def mean_squared_error(self: __torch__.M, y: Tensor, t: Tensor) -> Tensor:
                d = torch.sub(y, t)
                return torch.mean(torch.mul(d, d))
              def mean_cosine(self: __torch__.M, y: Tensor, t: Tensor) -> Tensor:
                return torch.mean(torch.cosine_similarity(y, t, -1, 9.9999999999999995e-09))
              def small_linear(self: __torch__.M, x: Tensor, w: Tensor) -> Tensor:
                return torch.linear(x, w)
              def inverse(self: __torch__.M, x: Tensor) -> Tensor:
                return torch.to(torch.linalg_inv(torch.to(x, 7)), ops.prim.dtype(x))
              def embedding(self: __torch__.M, w: Tensor, i: Tensor) -> Tensor:
                return torch.embedding(w, i)
              def cross_entropy(self: __torch__.M, x: Tensor, i: Tensor) -> Tensor:
                return torch.cross_entropy_loss(x, i)
              def dropout(self: __torch__.M, x: Tensor, p: Tensor) -> Tensor:
                return torch.dropout(x, float(p), True)
              def contiguous(self: __torch__.M, x: Tensor) -> Tensor:
                return torch.contiguous(x)
              def integers_by_divisor(self: __torch__.M, x: Tensor, d: Tensor, s: Tensor, z: Tensor, k: Tensor) -> Tensor:
                y = torch.div(x, d)
                f = torch.detach(y)
                c = torch.add_(y, torch.sub_(torch.round(f), f))
                a = torch.sub(torch.select(k, 0, 0), z)
                b = torch.sub(torch.select(k, 0, 1), z)
                return torch.mul(torch.clamp(c, a, b), s)
              def integers_in_range(self: __torch__.M, x: Tensor, u: Tensor, l: Tensor, k: Tensor) -> Tensor:
                t = torch.select(k, 0, 1)
                n = int(torch.select(k, 0, 2))
                h = torch.mul(torch.amax(x, [-1], True), u)
                g = torch.mul(torch.amin(x, [-1], True), l)
                if torch.eq(n, 0):
                  s = torch.div(torch.maximum(torch.abs(h), torch.abs(g)), t)
                  s = torch.add(s, torch.eq(s, 0))
                  z = torch.sub(t, t)
                else:
                  if torch.eq(n, 1):
                    h = torch.clamp_min(h, 0)
                    g = torch.clamp_max(g, 0)
                    s = torch.div(torch.sub(h, g), t)
                  else:
                    m = torch.mul(torch.maximum(torch.abs(h), torch.abs(g)), LEAST_STEP)
                    s = torch.maximum(torch.div(torch.sub(h, g), t), torch.detach(m))
                  s = torch.add(s, torch.eq(s, 0))
                  z = torch.round(torch.detach(torch.div(torch.neg(g), s)))
                  if torch.eq(n, 1):
                    z = torch.minimum(torch.clamp_min(z, 0), t)
                return self.integers_by_divisor(x, s, s, z, k)
              def svd(self: __torch__.M, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
                return torch.linalg_svd(x, False)
              def qr(self: __torch__.M, x: Tensor) -> Tuple[Tensor, Tensor]:
                return torch.linalg_qr(x)
              def eigh(self: __torch__.M, x: Tensor) -> Tuple[Tensor, Tensor]:
                return torch.linalg_eigh(x)
              def svdvals(self: __torch__.M, x: Tensor) -> Tensor:
                return torch.linalg_svdvals(x)
              def eigvalsh(self: __torch__.M, x: Tensor) -> Tensor:
                return torch.linalg_eigvalsh(x)
            """.replace("LEAST_STEP", Double.toString(Torch.LEAST_STEP))
            .replace("SCORES", Integer.toString(Torch.SCORES));

    private static final Torch INSTANCE = new Torch();

    private final NDManager manager;
    private final PtSymbolBlock module;

    private Torch() {
        manager = TensorEngine.newManager();
        try {
            module = JniUtils.loadModule((PtNDManager) manager, new ByteArrayInputStream(archive(CODE)), false, false);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
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

    /** As {@link #linear(NDArray, NDArray)} with {@code bias [outFeatures]} added. */
    public static NDArray linear(NDArray x, NDArray weight, NDArray bias) {
        return call("linear_bias", x, weight, bias).get(0);
    }

    /** As {@link #linear(NDArray, NDArray)}, with gradients for both, in float64 too; the factors must be contiguous. */
    public static NDArray differentiableLinear(NDArray x, NDArray weight) {
        // below this size the way to oneDNN's layout and back costs more than its product saves
        boolean small = weight.size() < 1 << 16 || weight.getDataType() != DataType.FLOAT32;
        return call(small ? "small_linear" : "differentiable_linear", x, weight).get(0);
    }

    /** Returns {@code log Σ exp(x)} over the last axis, computed and returned in float64. */
    public static NDArray logSumExp(NDArray x) {
        return call("logsumexp", x).get(0);
    }

    /** Returns {@code x / sqrt(mean(x²) + epsilon) · weight} over the last axis; {@code epsilon} is a scalar tensor. */
    public static NDArray rmsNorm(NDArray x, NDArray weight, NDArray epsilon) {
        return call("rms_norm", x, weight, epsilon).get(0);
    }

    /** Returns the layer norm over the last axis with epsilon 1e-5. */
    public static NDArray layerNorm(NDArray x, NDArray weight, NDArray bias) {
        return call("layer_norm", x, weight, bias).get(0);
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
     * As {@link #causalAttention}, not differentiable, where the last queries have a mask of their own. What a query may
     * see are keys up to its own. Some queries are taken at a time, with no more keys than they may see.
     *
     * @param window as {@link #window} gives it, for as many tokens at least as there are
     * @param mask {@code [batch, 1, rows, tokens]}, added to the scores of the last queries; it may have no rows
     */
    public static NDArray branchedAttention(NDArray query, NDArray key, NDArray value, NDArray window, NDArray mask) {
        return call("branched_attention", query, key, value, window, mask).get(0);
    }

    /** The causal masks of a few queries anywhere among {@code tokens}, one a part of the other: {@code [few, tokens + few]}. */
    public static NDArray window(NDManager manager, int tokens) {
        int columns = tokens + QUERIES;
        float[] window = new float[QUERIES * columns];
        for (int row = 0; row < QUERIES; row++) {
            Arrays.fill(window, row * columns + tokens + row + 1, (row + 1) * columns, Float.NEGATIVE_INFINITY);
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

    /** Returns the values row by row in memory of their own, where they are not already. */
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
    public static NDArray integersInRange(NDArray x, NDArray upper, NDArray lower, NDArray codes) {
        return call("integers_in_range", x, upper, lower, codes).get(0);
    }

    /** Describes integers to the functions above. */
    public static NDArray codes(NDManager manager, float lowest, float highest, Integers range) {
        return NativeFloats.of(manager, new float[] {lowest, highest, range.number}, 3);
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
        // left to itself PyTorch rewrites a function after its first call, and gradients change in their last bits; the
        // setting belongs to the thread
        JniUtils.setGraphExecutorOptimize(false);
        // the engine's own way to name the method; asked for as training, since results of inference mode are refused
        // later by automatic differentiation
        try (NDArray name = arguments[0].getManager().create(0f)) {
            name.setName("module_method:" + method);
            list.add(name);
            return IValueUtils.forward(INSTANCE.module, list, true);
        }
    }

    /** The archive PyTorch loads: a pickle that makes one {@code M}, and M's source. */
    private static byte[] archive(String code) throws IOException {
        ByteArrayOutputStream object = new ByteArrayOutputStream();
        object.write(new byte[] {(byte) 0x80, 2});
        object.writeBytes("c__torch__\nM\n)".getBytes(StandardCharsets.US_ASCII));
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
            store(zip, "m/version", "3\n".getBytes(StandardCharsets.US_ASCII));
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
