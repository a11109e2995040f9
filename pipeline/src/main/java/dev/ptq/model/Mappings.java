package dev.ptq.model;

import dev.ptq.family.Activation;
import dev.ptq.family.AttentionShape;
import dev.ptq.family.AttentionShape.Order;
import dev.ptq.family.BlockShape;
import dev.ptq.family.BranchNorms;
import dev.ptq.family.MixtureShape;
import dev.ptq.family.MlpShape;
import dev.ptq.family.Projection;
import dev.ptq.model.SmoothingMapping.Kind;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The smoothing mappings of a block, as its parts allow them. A fused linear stands in them as its parts, whose names are
 * its path and what the part makes: {@code self_attn.qkv_proj.query}.
 *
 * @param present in computation order
 * @param absent the kinds that the block has none of, and why
 */
public record Mappings(List<SmoothingMapping> present, Map<Kind, String> absent) {
    public Mappings {
        present = List.copyOf(present);
        absent = Map.copyOf(absent);
    }

    /** The paths of the linears that make queries, keys and values, or of the parts of one. */
    public static List<String> attentionInputs(AttentionShape attention) {
        List<String> paths = paths(attention.inputs());
        return attention.order() == Order.SEPARATE
                ? paths
                : List.of(paths.get(0) + ".query", paths.get(0) + ".key", paths.get(0) + ".value");
    }

    /** The paths of the first linears of an MLP, or of the parts of one; if gated those of gate and up. */
    public static List<String> mlpInputs(MlpShape mlp) {
        List<String> paths = paths(mlp.inputs());
        return mlp.isFused() ? List.of(paths.get(0) + ".gate", paths.get(0) + ".up") : paths;
    }

    /** The mappings of a block. */
    public static Mappings of(BlockShape block) {
        List<SmoothingMapping> present = new ArrayList<>();
        Map<Kind, String> absent = new EnumMap<>(Kind.class);
        AttentionShape attention = block.attention();
        List<String> inputs = attentionInputs(attention);
        Optional<String> noNorm = whyNoNorm(block, block.attentionNorms());
        noNorm.ifPresentOrElse(
                why -> absent.put(Kind.ATTENTION_IN, why),
                () -> present.add(SmoothingMapping.of(
                        Kind.ATTENTION_IN, HookPoint.ATTENTION_IN, smoothed(block.attentionNorms()), inputs)));
        if (attention.clip().isPresent()) {
            absent.put(Kind.VALUE_OUT, "a bound on values is not scaled with them");
            absent.put(Kind.QUERY_KEY, "a bound on queries and keys is not scaled with them");
        } else {
            if (attention.rotations().heads().isPresent()) {
                absent.put(Kind.VALUE_OUT, "a rotation across heads mixes channels in between");
            } else {
                present.add(SmoothingMapping.of(
                        Kind.VALUE_OUT,
                        HookPoint.ATTENTION_OUT,
                        inputs.get(2),
                        List.of(attention.output().path())));
            }
            if (attention.headNorms().isPresent()) {
                absent.put(Kind.QUERY_KEY, "norms of queries and keys undo what is scaled before them");
            } else {
                List<String> queries = List.of(inputs.get(0));
                present.add(new SmoothingMapping(Kind.QUERY_KEY, Optional.empty(), inputs.get(1), queries, queries));
            }
        }
        addMlp(block, present, absent);
        return new Mappings(present, absent);
    }

    private static void addMlp(BlockShape block, List<SmoothingMapping> present, Map<Kind, String> absent) {
        Optional<MixtureShape> mixture =
                block.mlp() instanceof MixtureShape found ? Optional.of(found) : Optional.empty();
        List<MlpShape> mlps = block.mlp().mlps();
        List<String> first =
                mlps.stream().flatMap(mlp -> balanced(mlp).stream()).toList();
        Optional<String> noNorm = whyNoNorm(block, block.mlpNorms());
        if (noNorm.isPresent()) {
            absent.put(Kind.MLP_IN, noNorm.get());
        } else if (mixture.isPresent()) {
            List<String> all = new ArrayList<>(first);
            all.add(mixture.get().router());
            mixture.get().shared().ifPresent(shared -> all.add(shared.gate()));
            present.add(new SmoothingMapping(
                    Kind.MLP_IN,
                    Optional.of(HookPoint.MIXTURE_IN),
                    smoothed(block.mlpNorms()),
                    all,
                    mlps.stream().map(mlp -> balanced(mlp).get(0)).toList()));
        } else {
            present.add(SmoothingMapping.of(Kind.MLP_IN, HookPoint.MLP_IN, smoothed(block.mlpNorms()), first));
        }
        for (int i = 0; i < mlps.size(); i++) {
            MlpShape mlp = mlps.get(i);
            if (mlp.rotation().isPresent()) {
                absent.put(Kind.MLP_MID, "the rotation R4 mixes channels in between");
            } else if (mlp.gated() || mlp.activation() == Activation.RELU) {
                String expert = mixture.isEmpty()
                        ? ""
                        : i < mixture.get().experts().size() ? Decoder.expert(i) : HookPoint.SHARED_EXPERT;
                present.add(SmoothingMapping.of(
                        Kind.MLP_MID,
                        HookPoint.MLP_MID.of(expert),
                        balanced(mlp).get(0),
                        List.of(mlp.output().path())));
            } else {
                absent.put(Kind.MLP_MID, "its activation function does not commute with factors");
            }
        }
    }

    /** The first linears of an MLP: what is multiplied comes first, then what goes through the activation. */
    private static List<String> balanced(MlpShape mlp) {
        List<String> first = mlpInputs(mlp);
        return mlp.gated() ? List.of(first.get(1), first.get(0)) : first;
    }

    private static String smoothed(BranchNorms norms) {
        return norms.before().orElseThrow().path();
    }

    /** Why there is no norm that feeds nothing but these linears and can take up factors; absent if there is one. */
    private static Optional<String> whyNoNorm(BlockShape block, BranchNorms norms) {
        if (norms.before().isEmpty()) {
            return Optional.of("no norm is in front");
        }
        if (block.sharesNorm()) {
            return Optional.of("attention and MLP share the norm in front");
        }
        return norms.before().get().hasWeight() ? Optional.empty() : Optional.of("the norm in front has no weight");
    }

    private static List<String> paths(List<Projection> linears) {
        return linears.stream().map(Projection::path).toList();
    }
}
