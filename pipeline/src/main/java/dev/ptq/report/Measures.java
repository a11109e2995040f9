package dev.ptq.report;

import java.util.List;
import java.util.Set;

/** What the names of metrics say. */
final class Measures {
    private static final Set<String> LOWER =
            Set.of("loss", "ppl", "perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "kl_divergence");
    private static final Set<String> HIGHER =
            Set.of("acc", "acc_norm", "acc_bytes", "exact_match", "f1", "mc1", "mc2", "top1_agreement");

    /** Which of two values is the better one. */
    enum Better {
        LOWER,
        HIGHER,
        NEITHER
    }

    private Measures() {}

    static Better better(String name) {
        List<String> parts = List.of(name.split("/", -1));
        String last = parts.get(parts.size() - 1);
        String around = parts.size() > 1 ? parts.get(parts.size() - 2) : "";
        if (around.equals("perplexity") || around.equals("loss_over") || LOWER.contains(last)) {
            return Better.LOWER;
        }
        return around.equals("loss_recovered") || HIGHER.contains(last) ? Better.HIGHER : Better.NEITHER;
    }

    /** Whether it is what a run is for, not a detail or a condition of it; the loss says what the perplexity does. */
    static boolean isResult(String name) {
        boolean ofLoss = name.endsWith("/loss") || name.contains("/loss_over/");
        return name.equals(ResultRow.BITS_PER_WEIGHT) || (better(name) != Better.NEITHER && !ofLoss);
    }

    /** Whether it is an end of an interval. */
    static boolean isBound(String name) {
        return name.endsWith("/low") || name.endsWith("/high");
    }
}
