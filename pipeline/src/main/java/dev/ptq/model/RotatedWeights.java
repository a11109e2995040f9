package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.BlockShape;
import dev.ptq.family.BranchNorms;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.ModelConfig;
import dev.ptq.family.ModelConfig.PositionTable;
import dev.ptq.family.Norm;
import dev.ptq.family.Projection;
import dev.ptq.model.Rotation.Place;
import dev.ptq.tensor.Hadamard;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Parallel;
import dev.ptq.tensor.Torch;
import dev.ptq.weights.StoredType;
import dev.ptq.weights.Weight;
import dev.ptq.weights.WeightSource;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/**
 * The tensors of a rotated model: norms and matrices are folded, in float64, into those of the model itself whenever they
 * are read. Nothing is stored.
 */
final class RotatedWeights implements WeightSource {
    private static final String WEIGHT = ".weight";
    private static final String BIAS = ".bias";
    /** Values that are turned at a time. */
    private static final int PIECE = 1 << 20;

    /** What becomes of the rows of a matrix {@code [n, features]} in float64. */
    @FunctionalInterface
    private interface Rows {
        Rows SAME = rows -> rows;

        NDArray of(NDArray rows) throws IOException;
    }

    private final ModelConfig model;
    private final ModelConfig rotated;
    private final WeightSource base;
    private final Rotation rotation;
    private final Rotation.Matrices matrices;
    private final Decoder decoder;
    /** What R1 makes of rows; the same without it. */
    private final Rows stream;
    /** What becomes of rows that are added to the residual stream. */
    private final Rows added;

    private final Map<String, Weight> weights = new LinkedHashMap<>();

    /**
     * Rotates a model.
     *
     * @param model as it is
     * @param base its tensors; they stay open when these are closed
     * @param matrices of R1 and R2
     */
    RotatedWeights(ModelConfig model, WeightSource base, Rotation rotation, Rotation.Matrices matrices)
            throws IOException {
        this.model = model;
        this.rotated = rotation.of(model);
        this.base = base;
        this.rotation = rotation;
        this.matrices = matrices;
        this.decoder = new Decoder(model);
        if (rotation.has(Place.R1)) {
            this.stream = matrices.residual(model.hiddenSize())::apply;
            this.added = losesMeans(model) ? rows -> stream.of(rows.sub(rows.mean(new int[] {1}, true))) : stream;
        } else {
            this.stream = Rows.SAME;
            this.added = Rows.SAME;
        }
        for (String name : base.names()) {
            weights.put(name, base.weight(name));
        }
        for (int block = 0; block < model.blocks(); block++) {
            addAttention(block);
            addMlp(block);
        }
        if (rotation.has(Place.R1)) {
            addOuter();
        }
    }

    /** Returns whether LayerNorms take means away, which RMSNorms do not: then nothing that is added may have one. */
    private static boolean losesMeans(ModelConfig model) {
        return Stream.concat(
                        model.layers().stream()
                                .flatMap(block -> Stream.of(block.attentionNorms(), block.mlpNorms()))
                                .flatMap(norms -> norms.before().stream()),
                        model.output().norm().stream())
                .anyMatch(norm -> norm.kind() == Norm.Kind.LAYER);
    }

    private void addAttention(int index) throws IOException {
        BlockShape shape = model.block(index);
        AttentionShape attention = shape.attention();
        String prefix = decoder.prefix(index);
        boolean ofValues = rotation.has(Place.R2);
        UnaryOperator<NDArray> values =
                ofValues ? matrices.values(index, attention.headDim()) : UnaryOperator.identity();
        for (int i = 0; i < attention.inputs().size(); i++) {
            boolean hasValues = ofValues && (attention.order() != Order.SEPARATE || i == 2);
            addReader(
                    prefix,
                    attention.inputs().get(i).path(),
                    shape.attentionNorms().before(),
                    hasValues ? rows -> onValues(attention, values, rows) : Rows.SAME);
        }
        OptionalInt across = rotated.block(index).attention().rotations().heads();
        addWriter(
                prefix, attention.output(), rows -> across(across, attention, values.apply(ofHeads(attention, rows))));
        plain(prefix, shape.attentionNorms());
    }

    private void addMlp(int index) throws IOException {
        BlockShape shape = model.block(index);
        String prefix = decoder.prefix(index);
        Optional<Norm> norm = shape.mlpNorms().before();
        List<MlpShape> mlps = rotated.block(index).mlp().mlps();
        for (MlpShape mlp : mlps) {
            for (Projection input : mlp.inputs()) {
                addReader(prefix, input.path(), norm, Rows.SAME);
            }
            addWriter(
                    prefix,
                    mlp.output(),
                    mlp.rotation().isPresent()
                            ? rows -> Hadamard.of(mlp.rotation().getAsInt())
                                    .orElseThrow()
                                    .apply(rows)
                            : Rows.SAME);
        }
        if (shape.mlp() instanceof MixtureShape mixture) {
            addReader(prefix, mixture.router(), norm, Rows.SAME);
            if (mixture.shared().isPresent()) {
                addReader(prefix, mixture.shared().get().gate(), norm, Rows.SAME);
            }
        }
        plain(prefix, shape.mlpNorms());
    }

    private void addOuter() throws IOException {
        ModelConfig.Embedding embedding = model.embedding();
        Optional<Norm> ofTable = embedding.norm();
        if (embedding.projection().isPresent()) {
            String name = embedding.projection().get();
            weights.put(name, new Folded(base.weight(name), Rows.SAME, added));
        } else {
            Weight table = base.weight(embedding.table());
            weights.put(embedding.table(), new Folded(table, rows -> added.of(normed(ofTable, rows)), Rows.SAME));
        }
        ofTable.ifPresent(norm -> weights.keySet().removeAll(List.of(norm.weight(), norm.bias())));
        if (model.positions().learned().isPresent()) {
            PositionTable positions = model.positions().learned().get();
            weights.put(positions.name(), new Folded(base.weight(positions.name()), added, Rows.SAME));
        }
        Optional<Norm> last = model.output().norm();
        Weight head = base.weight(decoder.headTensor());
        String path = model.output().head();
        if (model.output().projection().isPresent()) {
            String name = model.output().projection().get();
            weights.put(name, new Folded(base.weight(name), rows -> entered("", last, rows), Rows.SAME));
            weights.put(path + WEIGHT, head);
        } else {
            weights.put(path + WEIGHT, new Folded(head, rows -> entered("", last, rows), Rows.SAME));
            addShift(path, head, decoder.headBias(), shift("", last), Rows.SAME);
        }
        last.ifPresent(norm -> plain("", norm));
    }

    /** Folds into a linear that reads the stream, behind a norm. */
    private void addReader(String prefix, String path, Optional<Norm> norm, Rows outputs) throws IOException {
        Weight stored = base.weight(prefix + path + WEIGHT);
        Rows inputs = rotation.has(Place.R1) ? rows -> entered(prefix, norm, rows) : Rows.SAME;
        weights.put(prefix + path + WEIGHT, new Folded(stored, inputs, outputs));
        Optional<Weight> shift = rotation.has(Place.R1) ? shift(prefix, norm) : Optional.empty();
        String bias = prefix + path + BIAS;
        addShift(
                prefix + path,
                stored,
                base.names().contains(bias) ? Optional.of(bias) : Optional.empty(),
                shift,
                outputs);
    }

    private void addShift(String path, Weight stored, Optional<String> bias, Optional<Weight> shift, Rows outputs)
            throws IOException {
        if (bias.isPresent() || shift.isPresent()) {
            Optional<Weight> own = bias.isPresent() ? Optional.of(base.weight(bias.get())) : Optional.empty();
            weights.put(path + BIAS, new FoldedBias(own, stored, shift, outputs));
        }
    }

    /** Folds into a linear whose output is added to the stream. */
    private void addWriter(String prefix, Projection linear, Rows inputs) throws IOException {
        Weight stored = base.weight(prefix + linear.path() + WEIGHT);
        weights.put(prefix + linear.path() + WEIGHT, new Folded(stored, inputs, added));
        if (linear.hasBias()) {
            addShift(
                    prefix + linear.path(),
                    stored,
                    Optional.of(prefix + linear.path() + BIAS),
                    Optional.empty(),
                    added);
        }
    }

    private Optional<Weight> shift(String prefix, Optional<Norm> norm) throws IOException {
        return norm.isPresent() && norm.get().hasBias()
                ? Optional.of(base.weight(prefix + norm.get().bias()))
                : Optional.empty();
    }

    /** Rows of a weight that reads the stream behind a norm, with the norm's weight and R1 folded in. */
    private NDArray entered(String prefix, Optional<Norm> norm, NDArray rows) throws IOException {
        boolean isWeighted = norm.isPresent() && norm.get().hasWeight();
        return stream.of(
                isWeighted
                        ? rows.mul(exact(
                                rows.getManager(),
                                base.weight(prefix + norm.get().weight())))
                        : rows);
    }

    /** Rows of the embedding as a LayerNorm leaves them. */
    private NDArray normed(Optional<Norm> norm, NDArray rows) throws IOException {
        if (norm.isEmpty()) {
            return rows;
        }
        NDManager manager = rows.getManager();
        NDArray centered = rows.sub(rows.mean(new int[] {1}, true));
        NDArray variance = centered.square().mean(new int[] {1}, true);
        NDArray normed = centered.div(variance.add(norm.get().epsilon()).sqrt());
        if (norm.get().hasWeight()) {
            normed = normed.mul(exact(manager, base.weight(norm.get().weight())));
        }
        return norm.get().hasBias()
                ? normed.add(exact(manager, base.weight(norm.get().bias())))
                : normed;
    }

    private void plain(String prefix, BranchNorms norms) {
        if (rotation.has(Place.R1)) {
            norms.before().ifPresent(norm -> plain(prefix, norm));
        }
    }

    /** What a norm did is done elsewhere; a weight of ones stays, for those who rescale it. */
    private void plain(String prefix, Norm norm) {
        weights.remove(prefix + norm.bias());
        weights.put(prefix + norm.weight(), new Ones(model.hiddenSize()));
    }

    private static NDArray ofHeads(AttentionShape attention, NDArray rows) {
        return rows.reshape(-1, attention.headDim());
    }

    /** Turns columns {@code [rows · heads, headDim]} across heads, where the model turns what attention has mixed. */
    private static NDArray across(OptionalInt order, AttentionShape attention, NDArray byHead) {
        NDArray rows = byHead.reshape(-1, attention.heads(), attention.headDim());
        if (order.isPresent()) {
            rows = BlockForward.acrossHeads(order.getAsInt(), rows);
        }
        return rows.reshape(-1, attention.queryWidth());
    }

    /** Turns those features of a row that are values, head by head. */
    static NDArray onValues(AttentionShape attention, UnaryOperator<NDArray> values, NDArray rows) {
        int width = attention.headDim();
        NDArray turned = values.apply(ofHeads(attention, rows)).reshape(rows.getShape());
        if (attention.order() == Order.SEPARATE) {
            return turned;
        }
        int heads = attention.heads() + 2 * attention.kvHeads();
        int group = attention.heads() / attention.kvHeads() + 2;
        double[] isValue = new double[heads * width];
        for (int i = 0; i < isValue.length; i++) {
            int head = i / width;
            boolean found = attention.order() == Order.BLOCKS
                    ? head >= attention.heads() + attention.kvHeads()
                    : head % group == group - 1;
            isValue[i] = found ? 1 : 0;
        }
        NDArray mask =
                rows.getManager().create(isValue, new Shape(isValue.length)).toType(rows.getDataType(), false);
        return rows.add(turned.sub(rows).mul(mask));
    }

    private static NDArray exact(NDManager manager, Weight weight) throws IOException {
        return weight.load(manager).toType(DataType.FLOAT64, false);
    }

    /** Applies {@code change} to some rows at a time, on all threads; the result is float32. */
    private static NDArray byRows(NDManager manager, NDArray matrix, Rows change) throws IOException {
        int rows = (int) matrix.getShape().get(0);
        int columns = (int) matrix.getShape().get(1);
        int step = Math.max(1, PIECE / columns);
        NDArray result = NativeFloats.create(manager, matrix.getShape());
        Parallel.forEachOfTensors((rows + step - 1) / step, Parallel.THREADS, piece -> {
            try (NDManager scratch = manager.newSubManager()) {
                NDIndex some = new NDIndex("{}:{}", piece * step, Math.min(rows, (piece + 1) * step));
                NDArray exact = matrix.get(scratch, some).toType(DataType.FLOAT64, true);
                NDArray turned = change.of(exact).toType(DataType.FLOAT32, false);
                result.set(some, turned);
            }
        });
        return result;
    }

    private static NDArray turned(NDArray matrix) {
        return Torch.contiguous(matrix.transpose(1, 0));
    }

    /**
     * A matrix with changes on both sides.
     *
     * @param inputs what becomes of its rows
     * @param outputs then of its columns
     */
    private record Folded(Weight stored, Rows inputs, Rows outputs) implements Weight {
        @Override
        public List<Long> shape() {
            return stored.shape();
        }

        @Override
        public StoredType type() {
            return StoredType.F32;
        }

        @Override
        public String origin() {
            return stored.origin() + ", rotated";
        }

        @Override
        public NDArray load(NDManager manager) throws IOException {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray folded = stored.load(scratch);
                if (inputs != Rows.SAME) {
                    folded = byRows(scratch, folded, inputs);
                }
                if (outputs != Rows.SAME) {
                    folded = turned(byRows(scratch, turned(folded), outputs));
                }
                folded.attach(manager);
                return folded;
            }
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) throws IOException {
            return part(manager, scratch -> stored.rows(scratch, from, to), new NDIndex("{}:{}", from, to));
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) throws IOException {
            if (outputs == Rows.SAME) {
                return part(manager, scratch -> stored.gather(scratch, rows), new NDIndex(":"));
            }
            throw new IOException(origin() + ": its rows are not looked up");
        }

        private interface Part {
            NDArray read(NDManager scratch) throws IOException;
        }

        private NDArray part(NDManager manager, Part some, NDIndex index) throws IOException {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray part = outputs == Rows.SAME
                        ? byRows(scratch, some.read(scratch), inputs)
                        : Torch.contiguous(load(scratch).get(index));
                part.attach(manager);
                return part;
            }
        }
    }

    /**
     * A bias with what a norm's bias made of a weight.
     *
     * @param weight of the linear, as it is stored
     * @param shift of the linear's input
     * @param outputs what becomes of it, as of a row
     */
    private record FoldedBias(Optional<Weight> stored, Weight weight, Optional<Weight> shift, Rows outputs)
            implements Weight {
        @Override
        public List<Long> shape() {
            return List.of(weight.shape().get(0));
        }

        @Override
        public StoredType type() {
            return StoredType.F32;
        }

        @Override
        public String origin() {
            return weight.origin() + ", its bias, rotated";
        }

        @Override
        public NDArray load(NDManager manager) throws IOException {
            long size = weight.shape().get(0);
            try (NDManager scratch = manager.newSubManager()) {
                NDArray bias = stored.isPresent()
                        ? exact(scratch, stored.get())
                        : scratch.zeros(new Shape(size), DataType.FLOAT64);
                if (shift.isPresent()) {
                    bias = bias.add(exact(scratch, weight)
                            .matMul(exact(scratch, shift.get()).reshape(-1, 1))
                            .reshape(size));
                }
                NDArray folded = outputs.of(bias.reshape(1, size)).reshape(size).toType(DataType.FLOAT32, false);
                folded.attach(manager);
                return folded;
            }
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) throws IOException {
            try (NDManager scratch = manager.newSubManager()) {
                NDArray rows = load(scratch).get(new NDIndex("{}:{}", from, to)).duplicate();
                rows.attach(manager);
                return rows;
            }
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) throws IOException {
            throw new IOException(origin() + ": is no matrix");
        }
    }

    /** A weight of ones. */
    private record Ones(int size) implements Weight {
        @Override
        public List<Long> shape() {
            return List.of((long) size);
        }

        @Override
        public StoredType type() {
            return StoredType.F32;
        }

        @Override
        public String origin() {
            return "a norm without parameters";
        }

        @Override
        public NDArray load(NDManager manager) {
            return manager.ones(new Shape(size));
        }

        @Override
        public NDArray rows(NDManager manager, int from, int to) {
            return manager.ones(new Shape(to - from));
        }

        @Override
        public NDArray gather(NDManager manager, int[] rows) {
            return manager.ones(new Shape(rows.length));
        }
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(weights.keySet());
    }

    @Override
    public Weight weight(String name) throws IOException {
        Weight weight = weights.get(name);
        return weight == null ? base.weight(name) : weight;
    }

    @Override
    public void close() {}
}
