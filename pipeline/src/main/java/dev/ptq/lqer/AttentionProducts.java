package dev.ptq.lqer;

import dev.ptq.format.Formats;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The formats of attention products in {@code [q_config]}: {@code matmul} for llama, {@code bmm} for OPT. */
final class AttentionProducts {
    /** The operands of a product. */
    private record Operands(Quantizer left, Quantizer right) {}

    private AttentionProducts() {}

    /** Returns whether a key of a block names a product rather than a linear. */
    static boolean isProduct(String key) {
        return key.startsWith("matmul") || key.startsWith("bmm");
    }

    /**
     * Writes {@code [quantization.attention]}.
     *
     * @param family key of the model's family, {@code "matmul"} or {@code "bmm"}
     */
    static void write(LqerTable config, String family, ExperimentText.Section section) {
        String other = family.equals("bmm") ? "matmul" : "bmm";
        String taken = config.has(family) || !config.has(other) ? family : other;
        Optional<Operands> all = config.table(taken).map(table -> read(table, section));
        if (!taken.equals(other) && config.has(other)) {
            commentOnOther(config, other, all, section);
        }
        List<Operands> single = new ArrayList<>();
        for (String key : config.keys()) {
            if (key.startsWith("model_layer") && config.hasTable(key)) {
                config.table(key).ifPresent(layer -> readProducts(layer, single, section));
            }
        }
        all.ifPresent(operands -> single.add(0, operands));
        if (single.stream().distinct().count() > 1) {
            section.warn(config, "model_layer", "ptq has one format for all products of attention; the first is taken");
        }
        if (single.isEmpty()) {
            section.warn(config, taken, "left out; not rounded");
        }
        Operands operands = single.isEmpty() ? new Operands(Quantizer.NONE, Quantizer.NONE) : single.get(0);
        section.set("left", operands.left().table());
        section.set("right", operands.right().table());
    }

    private static void commentOnOther(
            LqerTable config, String other, Optional<Operands> taken, ExperimentText.Section section) {
        // comments on its quantizers go nowhere
        ExperimentText.Section aside = new ExperimentText().apart("");
        Optional<Operands> unused = config.table(other).map(table -> read(table, aside));
        String family = other.equals("bmm") ? "OPT" : "llama";
        section.comment(
                config,
                other,
                "for " + family + (unused.equals(taken) ? ", and the same" : "; this model takes the other one"));
    }

    private static void readProducts(LqerTable layer, List<Operands> products, ExperimentText.Section section) {
        for (String key : layer.keys()) {
            if (layer.hasTable(key)) {
                LqerTable child = layer.table(key).orElseThrow();
                if (isProduct(key)) {
                    products.add(read(child, section));
                } else {
                    readProducts(child, products, section);
                }
            }
        }
    }

    private static Operands read(LqerTable table, ExperimentText.Section section) {
        table.read("name");
        if (!table.hasTable("default")) {
            table.read("default");
        }
        return new Operands(quantizer(table, "x_quantizer", section), quantizer(table, "w_quantizer", section));
    }

    private static Quantizer quantizer(LqerTable table, String key, ExperimentText.Section section) {
        String found = table.has(key) ? key : "default";
        if (!table.hasTable(found)) {
            section.warn(table, key, "left out, without a default; not rounded");
        }
        return table.hasTable(found)
                ? Quantizer.read(table.table(found).orElseThrow(), Formats.Use.ACTIVATION, section)
                : Quantizer.NONE;
    }
}
