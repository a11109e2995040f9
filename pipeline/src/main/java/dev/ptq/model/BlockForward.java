package dev.ptq.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.Activation;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.HeadNorms;
import dev.ptq.family.AttentionShape.Over;
import dev.ptq.family.BlockShape;
import dev.ptq.family.BranchNorms;
import dev.ptq.family.FeedForward;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.Norm;
import dev.ptq.family.Projection;
import dev.ptq.tensor.Hadamard;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.Torch;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The computation of one block on one batch, made of the block's parts. */
record BlockForward(BlockShape shape, ForwardPass pass) {
    /** Returns the block's output for {@code hidden}, {@code [batch, tokens, hiddenSize]}, which is not modified. */
    NDArray forward(NDArray hidden) {
        NDArray attentionIn = input(shape.attentionNorms(), hidden);
        if (!shape.parallel()) {
            NDArray attended =
                    joined(shape.attentionNorms(), hidden.add(branch(attention(attentionIn), shape.attentionNorms())));
            NDArray mlpOut = branch(mlp(input(shape.mlpNorms(), attended)), shape.mlpNorms());
            return joined(shape.mlpNorms(), pass.operators().add(attended, mlpOut));
        }
        // a linear may round its input in place, and then the MLP needs its own
        NDArray mlpIn = shape.sharesNorm() ? pass.operators().own(attentionIn) : input(shape.mlpNorms(), hidden);
        NDArray attended = branch(attention(attentionIn), shape.attentionNorms());
        NDArray both = pass.operators().add(attended, branch(mlp(mlpIn), shape.mlpNorms()));
        return pass.operators().add(both, hidden);
    }

    /**
     * Returns what attention or the MLP makes of its input, before a norm behind it and before it is added to anything.
     *
     * @param entry the hook point of the input: {@link HookPoint#ATTENTION_IN}, {@link HookPoint#MLP_IN} or {@link
     *     HookPoint#MIXTURE_IN}
     */
    NDArray branch(HookPoint entry, NDArray input) {
        boolean isMixture = shape.mlp() instanceof MixtureShape;
        if (!entry.equals(HookPoint.ATTENTION_IN)
                && !entry.equals(isMixture ? HookPoint.MIXTURE_IN : HookPoint.MLP_IN)) {
            throw new IllegalArgumentException("no branch of the block begins at " + entry.label());
        }
        // a linear may round its input in place
        NDArray own = pass.block().roundsActivations() ? pass.operators().own(input) : input;
        return entry.equals(HookPoint.ATTENTION_IN) ? attention(own) : mlp(own);
    }

    private NDArray input(BranchNorms norms, NDArray stream) {
        return norms.before().isPresent()
                ? norm(norms.before().get(), stream)
                : pass.operators().own(stream);
    }

    /** The output of attention or MLP as it is added to the residual stream. */
    private NDArray branch(NDArray output, BranchNorms norms) {
        NDArray added = norms.after().isPresent() ? norm(norms.after().get(), output) : output;
        if (shape.branchMultiplier() != 1) {
            added = pass.operators().scale(added, (float) shape.branchMultiplier());
        }
        return pass.operators().branch(added);
    }

    private NDArray joined(BranchNorms norms, NDArray sum) {
        return norms.afterSum().isPresent() ? norm(norms.afterSum().get(), sum) : sum;
    }

    private NDArray attention(NDArray input) {
        AttentionShape attention = shape.attention();
        List<NDArray> parts = queriesKeysValues(pass.project(
                HookPoint.ATTENTION_IN,
                input,
                attention.inputs().stream().map(Projection::path).toArray(String[]::new)));
        NDArray queries = parts.get(0);
        NDArray keys = parts.get(1);
        Optional<HeadNorms> norms = attention.headNorms();
        boolean overWidth = norms.isPresent() && norms.get().over() == Over.WIDTH;
        if (overWidth) {
            queries = norm(norms.get().query(), queries);
            keys = norm(norms.get().key(), keys);
        }
        queries = Attention.split(clipped(queries), attention.heads());
        keys = Attention.split(clipped(keys), attention.kvHeads());
        NDArray values = Attention.split(clipped(parts.get(2)), attention.kvHeads());
        if (norms.isPresent() && !overWidth) {
            queries = headNorm(norms.get().query(), queries);
            keys = headNorm(norms.get().key(), keys);
        }
        if (attention.scores().onQueries()) {
            queries = pass.operators()
                    .scale(queries, (float) (1 / attention.scores().divisor()));
        }
        NDArray unrotated = keys;
        observe(HookPoint.KEY, () -> unrotated);
        observe(HookPoint.ROTATED_KEY, () -> rotated(unrotated));
        observe(HookPoint.VALUE, () -> values);
        Optional<KvFormats> kv = pass.block().attention().kv();
        Cached seenKeys = kv.isPresent() ? kv.get().keys(keys, this::rotated, pass) : Cached.uniform(rotated(keys));
        Cached seenValues = kv.isPresent() ? kv.get().values(values, pass) : Cached.uniform(values);
        NDArray mixed = pass.attention(rotated(queries), seenKeys, seenValues, attention);
        return pass.projectOne(
                HookPoint.ATTENTION_OUT,
                acrossHeads(attention, mixed),
                attention.output().path());
    }

    /** Turns what attention has mixed, {@code [batch, tokens, heads · headDim]}, across heads in a rotated model. */
    private static NDArray acrossHeads(AttentionShape attention, NDArray mixed) {
        OptionalInt order = attention.rotations().heads();
        return order.isEmpty()
                ? mixed
                : acrossHeads(order.getAsInt(), mixed.reshape(-1, attention.heads(), attention.headDim()))
                        .reshape(mixed.getShape());
    }

    /** Turns {@code [n, heads, headDim]} across heads, in parts of some heads. */
    static NDArray acrossHeads(int order, NDArray byHead) {
        Hadamard hadamard = Hadamard.of(order).orElseThrow();
        return hadamard.apply(byHead.transpose(0, 2, 1)).transpose(0, 2, 1);
    }

    /** Shows what a cache can hold to an observer that wants to see it. */
    private void observe(HookPoint hookPoint, Supplier<NDArray> heads) {
        int index = pass.block().index();
        if (pass.observer().wants(index, hookPoint)) {
            pass.observer().observe(index, hookPoint, Torch.contiguous(Attention.join(heads.get())));
        }
    }

    /** The outputs of the first linears as queries, keys and values, {@code [batch, tokens, width]}. */
    private List<NDArray> queriesKeysValues(List<NDArray> projected) {
        AttentionShape attention = shape.attention();
        NDArray all = projected.get(0);
        long queries = attention.queryWidth();
        long keys = attention.keyWidth();
        return switch (attention.order()) {
            case SEPARATE -> projected;
            case BLOCKS ->
                List.of(
                        all.get(new NDIndex(":,:,:{}", queries)),
                        all.get(new NDIndex(":,:,{}:{}", queries, queries + keys)),
                        all.get(new NDIndex(":,:,{}:", queries + keys)));
            case GROUPS -> {
                Shape was = all.getShape();
                long group = attention.heads() / attention.kvHeads();
                NDArray heads =
                        all.reshape(was.get(0), was.get(1), attention.kvHeads(), group + 2, attention.headDim());
                yield List.of(
                        heads.get(new NDIndex(":,:,:,:{}", group)).reshape(was.get(0), was.get(1), queries),
                        heads.get(new NDIndex(":,:,:,{}", group)).reshape(was.get(0), was.get(1), keys),
                        heads.get(new NDIndex(":,:,:,{}", group + 1)).reshape(was.get(0), was.get(1), keys));
            }
        };
    }

    private NDArray clipped(NDArray projected) {
        if (shape.attention().clip().isEmpty()) {
            return projected;
        }
        double bound = shape.attention().clip().getAsDouble();
        return projected.clip(-bound, bound);
    }

    /** Normalizes each head, {@code [batch, heads, tokens, headDim]}; the weight may be one for each. */
    private NDArray headNorm(Norm norm, NDArray heads) {
        NDArray weight = pass.block().optionalNorm(norm.weight());
        if (weight == null || weight.getShape().dimension() == 1) {
            return norm(norm, heads);
        }
        NDArray plain = normed(norm, heads, name -> null);
        return plain.mul(
                weight.reshape(weight.getShape().get(0), 1, weight.getShape().get(1)));
    }

    private NDArray rotated(NDArray heads) {
        NDArray turned = byPosition(heads);
        OptionalInt order = shape.attention().rotations().queryKey();
        return order.isEmpty()
                ? turned
                : Hadamard.of(order.getAsInt()).orElseThrow().apply(turned);
    }

    private NDArray byPosition(NDArray heads) {
        return shape.attention()
                .rope()
                .map(rope -> {
                    NDArray cos = pass.constants().cos(rope);
                    NDArray sin = pass.constants().sin(rope);
                    if (rope.interleaved()) {
                        return Torch.rotateNeighbours(heads, cos, sin);
                    }
                    return rope.width() == shape.attention().headDim()
                            ? Torch.rotate(heads, cos, sin)
                            : Torch.rotatePart(heads, cos, sin);
                })
                .orElse(heads);
    }

    private NDArray mlp(NDArray input) {
        FeedForward part = shape.mlp();
        return part instanceof MixtureShape mixture ? mixture(mixture, input) : mlp((MlpShape) part, "", input);
    }

    private NDArray mlp(MlpShape mlp, String expert, NDArray input) {
        List<NDArray> first = pass.project(
                HookPoint.MLP_IN.of(expert),
                input,
                mlp.inputs().stream().map(Projection::path).toArray(String[]::new));
        NDArray middle;
        if (!mlp.gated()) {
            middle = activated(mlp.activation(), first.get(0));
        } else {
            NDArray gate = mlp.isFused() ? first.get(0).get(new NDIndex(":,:,:{}", mlp.width())) : first.get(0);
            NDArray up = mlp.isFused() ? first.get(0).get(new NDIndex(":,:,{}:", mlp.width())) : first.get(1);
            middle = mlp.activation() == Activation.SILU
                    ? Torch.siluTimes(gate, up)
                    : activated(mlp.activation(), gate).mul(up);
        }
        if (mlp.rotation().isPresent()) {
            middle = Hadamard.of(mlp.rotation().getAsInt()).orElseThrow().apply(middle);
        }
        return pass.projectOne(
                HookPoint.MLP_MID.of(expert), middle, mlp.output().path());
    }

    private static NDArray activated(Activation activation, NDArray x) {
        return switch (activation) {
            case SILU -> ai.djl.nn.Activation.swish(x, 1);
            case GELU -> Torch.gelu(x);
            case GELU_TANH -> Torch.geluTanh(x);
            case RELU -> ai.djl.nn.Activation.relu(x);
            case RELU_SQUARED -> ai.djl.nn.Activation.relu(x).square();
        };
    }

    /** Each expert takes its tokens, in their order, and what it makes of them is added up in the order of experts. */
    private NDArray mixture(MixtureShape mixture, NDArray input) {
        pass.observer().observe(pass.block().index(), HookPoint.MIXTURE_IN, input);
        long hidden = input.getShape().get(2);
        NDArray tokens = input.reshape(-1, hidden);
        int count = (int) tokens.getShape().get(0);
        int experts = mixture.experts().size();
        NDArray probabilities = unrounded(mixture.router(), tokens).softmax(-1);
        Routing routing = Routing.of(probabilities.toFloatArray(), experts, mixture.perToken());
        NDArray flat = probabilities.reshape(-1, 1);
        NDArray sums = null;
        if (mixture.normalized()) {
            int[] entries = routing.allEntries();
            sums = Torch.embedding(flat, NativeFloats.indices(input.getManager(), entries, entries.length))
                    .reshape(mixture.perToken(), count)
                    .sum(new int[] {0})
                    .reshape(count, 1);
        }
        NDArray output = tokens.zerosLike();
        for (int i = 0; i < experts; i++) {
            int[] own = routing.tokens(i);
            BlockForward running = observed(mixture.experts().get(i), Decoder.expert(i), input, own);
            if (own.length == 0) {
                continue;
            }
            NDArray rows = NativeFloats.indices(input.getManager(), own, own.length);
            NDArray made = running.mlp(
                            mixture.experts().get(i),
                            Decoder.expert(i),
                            Torch.embedding(tokens, rows).reshape(1, own.length, hidden))
                    .reshape(own.length, hidden);
            NDArray weights =
                    Torch.embedding(flat, NativeFloats.indices(input.getManager(), routing.entries(i), own.length));
            if (sums != null) {
                weights = weights.div(Torch.embedding(sums, rows));
            }
            output = Torch.addRows(output, rows, made.mul(weights));
        }
        if (mixture.shared().isPresent()) {
            MixtureShape.Shared shared = mixture.shared().get();
            NDArray gate = ai.djl.nn.Activation.sigmoid(unrounded(shared.gate(), tokens));
            NDArray made = mlp(
                    shared.expert(), HookPoint.SHARED_EXPERT, pass.operators().own(input));
            output = output.add(made.reshape(count, hidden).mul(gate));
        }
        return output.reshape(input.getShape());
    }

    /** A router or a gate, to which a transform may have added a bias. */
    private NDArray unrounded(String path, NDArray tokens) {
        return pass.operators()
                .linear(
                        tokens,
                        pass.block().norm(path + ".weight"),
                        pass.block().optionalNorm(path + ".bias"));
    }

    /**
     * The pass through an expert in which the observer sees the tokens that it is sent. If the observer wants all, they
     * go through the expert here, and it sees nothing of that pass.
     *
     * @param own the tokens that the router sends to the expert
     */
    private BlockForward observed(MlpShape mlp, String expert, NDArray input, int[] own) {
        ActivationObserver observer = pass.observer();
        int index = pass.block().index();
        if (observer.seesAllTokens()) {
            ActivationObserver ofAll = (block, hookPoint, all) ->
                    observer.observe(block, hookPoint, new HookInput(all.values(), all.lengths(), own.length));
            with(ofAll).mlp(mlp, expert, pass.operators().own(input));
            return with(ActivationObserver.NONE);
        }
        List<Integer> lengths = Routing.lengths(own, input.getShape());
        if (own.length == 0) {
            NDArray none =
                    input.getManager().create(new Shape(0, input.getShape().get(2)));
            observer.observe(index, HookPoint.MLP_IN.of(expert), new HookInput(none, lengths, 0));
            NDArray noMiddle = input.getManager().create(new Shape(0, mlp.width()));
            observer.observe(index, HookPoint.MLP_MID.of(expert), new HookInput(noMiddle, lengths, 0));
        }
        return with((block, hookPoint, some) ->
                observer.observe(block, hookPoint, new HookInput(some.values(), lengths, own.length)));
    }

    private BlockForward with(ActivationObserver observer) {
        return new BlockForward(shape, pass.observedBy(observer));
    }

    private NDArray norm(Norm norm, NDArray values) {
        return pass.block().behindNorm(norm.path(), normed(norm, values, pass.block()::optionalNorm));
    }

    /** Normalizes the last axis; a tensor that is not there has no part in it. */
    static NDArray normed(Norm norm, NDArray values, Function<String, @Nullable NDArray> tensors) {
        NDArray weight = tensors.apply(norm.weight());
        NDArray bias = tensors.apply(norm.bias());
        if (norm.kind() == Norm.Kind.LAYER) {
            return Torch.layerNorm(values, weight, bias, norm.epsilon());
        }
        NDArray epsilon = NativeFloats.scalar(values.getManager(), (float) norm.epsilon());
        NDArray normed = Torch.rmsNorm(
                values,
                weight == null
                        ? values.getManager().ones(new Shape(values.getShape().tail()))
                        : weight,
                epsilon);
        return bias == null ? normed : normed.add(bias);
    }
}
