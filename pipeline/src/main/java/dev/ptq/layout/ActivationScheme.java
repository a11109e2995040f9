package dev.ptq.layout;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.format.Fp8Format;
import dev.ptq.format.GivenScaleFormat;
import dev.ptq.format.Grid;
import dev.ptq.format.IntegerGridFormat;
import dev.ptq.format.MxFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Nvfp4Format;
import dev.ptq.format.Operand;
import dev.ptq.format.SmallFloat;
import dev.ptq.format.StaticFormat;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.nio.ByteBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A format of activations as compressed-tensors describes it: what {@link Activations} reads, written.
 *
 * @param description as in {@code input_activations}
 * @param scale of all values; empty if scales follow from the values
 * @param zeroPoint beside such a scale; empty where the format has none
 */
record ActivationScheme(Map<String, Object> description, Optional<Float> scale, Optional<Integer> zeroPoint) {
    private static final String GROUP = "group";
    private static final String TENSOR = "tensor";

    /** Returns the description of a format; empty if there are no words for it. */
    static Optional<ActivationScheme> of(NumberFormat format) {
        boolean isStatic = format instanceof StaticFormat || format instanceof GivenScaleFormat;
        NumberFormat plain = format.dynamic();
        Optional<Map<String, Object>> found = plain instanceof IntegerGridFormat integers
                ? integers(integers)
                : plain instanceof Fp8Format fp8
                        ? fp8(fp8)
                        : plain instanceof MxFormat mx
                                ? mx(mx)
                                : isStatic && plain instanceof Nvfp4Format nvfp4 ? nvfp4(nvfp4) : Optional.empty();
        if (found.isEmpty() || !isStatic) {
            return found.map(description -> new ActivationScheme(description, Optional.empty(), Optional.empty()));
        }
        boolean isOfTensor = TENSOR.equals(found.get().get("strategy"));
        if (!isOfTensor && !(plain instanceof Nvfp4Format)) {
            return Optional.empty();
        }
        Map<String, Object> description = new LinkedHashMap<>(found.get());
        if (isOfTensor) {
            description.put("dynamic", false);
        }
        boolean hasZeroPoint = Boolean.FALSE.equals(description.get("symmetric"));
        Grid any = fitted(format);
        float scale = plain instanceof Nvfp4Format
                ? Objects.requireNonNull(any.parts().get("tensor_scale"))
                        .bytes()
                        .getFloat(0)
                : any.scales()[0];
        return Optional.of(new ActivationScheme(
                description, Optional.of(scale), hasZeroPoint ? Optional.of(any.zeroPoints()[0]) : Optional.empty()));
    }

    /** Any values in a format whose scale does not depend on them. */
    private static Grid fitted(NumberFormat format) {
        try (NDManager scratch = TensorEngine.newManager()) {
            NDArray zeros = NativeFloats.of(scratch, new float[16], 1, 16);
            return format.fit(zeros, Operand.ACTIVATION).orElseThrow();
        }
    }

    private static Optional<Map<String, Object>> integers(IntegerGridFormat format) {
        if (!format.equals(Activations.grid(format.granularity(), format.groupSize(), format.isSymmetric()))) {
            return Optional.empty();
        }
        return switch (format.granularity()) {
            case TOKEN -> described(8, "int", "token", 0, format.isSymmetric());
            case TENSOR -> described(8, "int", TENSOR, 0, format.isSymmetric());
            case GROUP -> described(8, "int", GROUP, format.groupSize(), format.isSymmetric());
            case CHANNEL -> Optional.empty();
        };
    }

    private static Optional<Map<String, Object>> fp8(Fp8Format format) {
        if (format.element() != SmallFloat.E4M3 || format.rule() != Fp8Format.Rule.COMPRESSED_TENSORS) {
            return Optional.empty();
        }
        return switch (format.granularity()) {
            case TOKEN -> described(8, "float", "token", 0, true);
            case TENSOR -> described(8, "float", TENSOR, 0, true);
            case BLOCK -> {
                List<Integer> size = format.blockSize();
                yield size.get(0) == 1 && size.get(1) > 0
                        ? described(8, "float", GROUP, size.get(1), true)
                        : Optional.empty();
            }
            case CHANNEL -> Optional.empty();
        };
    }

    private static Optional<Map<String, Object>> mx(MxFormat format) {
        boolean isFour = format.equals(Activations.mx(SmallFloat.E2M1));
        if (!isFour && !format.equals(Activations.mx(SmallFloat.E4M3))) {
            return Optional.empty();
        }
        Optional<Map<String, Object>> found = described(isFour ? 4 : 8, "float", GROUP, 32, true);
        found.orElseThrow().put("scale_dtype", "torch.uint8");
        return found;
    }

    private static Optional<Map<String, Object>> nvfp4(Nvfp4Format format) {
        if (!format.equals(new Nvfp4Format())) {
            return Optional.empty();
        }
        Optional<Map<String, Object>> found = described(4, "float", "tensor_group", 16, true);
        found.orElseThrow().put("dynamic", "local");
        found.orElseThrow().put("scale_dtype", "torch.float8_e4m3fn");
        return found;
    }

    private static Optional<Map<String, Object>> described(
            int bits, String type, String strategy, int groupSize, boolean isSymmetric) {
        Map<String, Object> description = new LinkedHashMap<>();
        description.put("dynamic", true);
        if (groupSize > 0) {
            description.put("group_size", groupSize);
        }
        description.put("num_bits", bits);
        description.put("strategy", strategy);
        description.put("symmetric", isSymmetric);
        description.put("type", type);
        return Optional.of(description);
    }

    /** The description with the keys that are null. */
    static @Nullable Map<String, @Nullable Object> complete(Optional<Map<String, Object>> description) {
        if (description.isEmpty()) {
            return null;
        }
        Map<String, @Nullable Object> complete = new LinkedHashMap<>();
        for (String key : List.of("actorder", "block_structure", "group_size")) {
            complete.put(key, null);
        }
        complete.put("observer", null);
        complete.put("observer_kwargs", Map.of());
        complete.putAll(description.get());
        return complete;
    }

    /** Returns the tensors beside a linear whose input has the format. */
    Map<String, RawTensor> tensors() {
        Map<String, RawTensor> tensors = new LinkedHashMap<>();
        boolean isLocal = "local".equals(description.get("dynamic"));
        scale.ifPresent(value -> tensors.put(
                isLocal ? Activations.GLOBAL_SCALE : Activations.SCALE, RawTensor.of(new float[] {value}, 1)));
        zeroPoint.ifPresent(value -> tensors.put(
                Activations.ZERO_POINT,
                new RawTensor(StoredType.I8, List.of(1L), ByteBuffer.wrap(new byte[] {value.byteValue()}))));
        return tensors;
    }

    /** Returns whether it can be that of a cache: one stored scale of keys or values, without a zero point. */
    boolean isOfCache() {
        return scale.isPresent() && TENSOR.equals(description.get("strategy")) && zeroPoint.isEmpty();
    }
}
