package dev.ptq.lqer;

import dev.ptq.format.Formats;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The formats of linears in {@code [q_config]}: for all in {@code linear}, or for each kind in {@code model_layer}, and
 * for single blocks in {@code model_layer_N}.
 */
final class Linears {
    /** The tables of one linear layer. */
    private record Operands(Quantizer weight, Quantizer activation, Quantizer bias) {}

    private static final String DEFAULT = "default";
    private static final List<String> QUANTIZERS = List.of("w_quantizer", "x_quantizer", "b_quantizer");
    private static final Map<String, String> PRODUCTS =
            new TreeMap<>(Map.of("A_out_quantizer", "product_a", "B_out_quantizer", "product_b"));
    private static final Pattern BLOCK = Pattern.compile("model_layer_([0-9]+)");

    private final ExperimentText.Section section;
    private Operands base = new Operands(Quantizer.NONE, Quantizer.NONE, Quantizer.NONE);
    private final Map<String, Operands> overrides = new LinkedHashMap<>();
    private final Map<String, Quantizer> products = new LinkedHashMap<>();
    private final List<LqerTable> corrected = new ArrayList<>();
    private final List<LqerTable> uncorrected = new ArrayList<>();
    private boolean found;

    private Linears(ExperimentText.Section section) {
        this.section = section;
    }

    /** Reads the tables of a file; comments go into the section. */
    static Linears read(LqerTable root, ExperimentText.Section section) {
        Linears linears = new Linears(section);
        root.table("q_config").ifPresent(linears::read);
        return linears;
    }

    private void read(LqerTable config) {
        Map<String, Operands> kinds = new LinkedHashMap<>();
        for (String key : List.of("model_layer", "model_layer_cfg")) {
            config.table(key).ifPresent(layer -> readKinds(layer, "", kinds));
        }
        Optional<LqerTable> all = config.table("linear");
        found = !kinds.isEmpty() || all.isPresent();
        if (!kinds.isEmpty()) {
            base = kinds.values().iterator().next();
            all.ifPresent(table -> section.commentAll(table, "LQER takes model_layer instead"));
            override(kinds, kind -> base, ".*\\.");
        } else {
            all.ifPresent(this::readAll);
        }
        readBlocks(config, kinds);
    }

    private void readAll(LqerTable linear) {
        boolean inEntry = linear.hasTable(DEFAULT)
                && linear.table(DEFAULT).filter(Linears::isLinear).isPresent();
        LqerTable entry = inEntry ? linear.table(DEFAULT).orElseThrow() : linear;
        base = operands(entry, Optional.empty());
        PRODUCTS.forEach((theirs, ours) -> entry.table(theirs)
                .map(table -> Quantizer.read(table, Formats.Use.ACTIVATION, section))
                .ifPresent(quantizer -> products.put(ours, quantizer)));
        readPatterns(linear);
    }

    /** LQER has no patterns here, but their meaning is plain. */
    private void readPatterns(LqerTable linear) {
        for (PatternEntry each : PatternEntry.of(linear, key -> isPattern(linear, key))) {
            Operands operands = operands(each.entry(), Optional.of(base));
            if (operands.equals(base)) {
                section.comment(linear, each.pattern(), "the formats of all linears");
            } else {
                section.comment(linear, each.pattern(), "LQER itself reads no patterns here");
                boolean wholeName = each.pattern().matches("(?s).*(weight|[*+])\\$?");
                overrides.put(wholeName ? each.pattern() : "(" + each.pattern() + ")\\.weight", operands);
            }
        }
    }

    private static boolean isPattern(LqerTable linear, String key) {
        if (QUANTIZERS.contains(key) || PRODUCTS.containsKey(key) || key.equals("name") || key.equals(DEFAULT)) {
            return false;
        }
        String entry = linear.peek(key).orElse(key);
        return linear.hasTable(entry) && isLinear(linear.table(entry).orElseThrow());
    }

    private static boolean isLinear(LqerTable table) {
        return QUANTIZERS.stream().anyMatch(table::hasTable) || table.hasTable(DEFAULT);
    }

    private void readBlocks(LqerTable config, Map<String, Operands> kinds) {
        for (String key : config.keys()) {
            Matcher block = BLOCK.matcher(key);
            if (block.matches() && config.hasTable(key)) {
                Map<String, Operands> here = new LinkedHashMap<>();
                config.table(key).ifPresent(layer -> readKinds(layer, "", here));
                override(here, kind -> kinds.getOrDefault(kind, base), ".*\\blayers\\." + block.group(1) + "\\.");
            }
        }
    }

    /** Collects the linears of a block by their names in it, such as {@code self_attn.q_proj}. */
    private void readKinds(LqerTable layer, String prefix, Map<String, Operands> kinds) {
        for (String key : layer.keys()) {
            if (!layer.hasTable(key) || AttentionProducts.isProduct(key)) {
                continue;
            }
            LqerTable child = layer.table(key).orElseThrow();
            if (isLinear(child)) {
                kinds.put(prefix + key, operands(child, Optional.empty()));
                for (String product : PRODUCTS.keySet()) {
                    section.comment(child, product, "a step has such a format, not a layer; here it is as of inputs");
                }
            } else {
                readKinds(child, prefix + key + ".", kinds);
            }
        }
    }

    /** Adds overrides for linears whose formats changed; equal formats share one. */
    private void override(Map<String, Operands> kinds, Function<String, Operands> before, String prefix) {
        Map<Operands, List<String>> changed = new LinkedHashMap<>();
        kinds.forEach((kind, operands) -> {
            if (!operands.equals(before.apply(kind))) {
                changed.computeIfAbsent(operands, absent -> new ArrayList<>()).add(kind.replace(".", "\\."));
            }
        });
        changed.forEach(
                (operands, names) -> overrides.put(prefix + "(" + String.join("|", names) + ")\\.weight", operands));
    }

    private Operands operands(LqerTable linear, Optional<Operands> otherwise) {
        boolean flexible = linear.text("name").orElse("").equals("flexible");
        if (otherwise.isEmpty()) {
            (flexible ? uncorrected : corrected).add(linear);
        }
        if (!linear.flag("is_ptq").orElse(true)) {
            section.comment(linear, "is_ptq", "weights are rounded once, which gives the same values");
        }
        if (!linear.hasTable(DEFAULT)) {
            linear.read(DEFAULT);
        }
        return new Operands(
                quantizer(linear, "w_quantizer", Formats.Use.WEIGHT, otherwise.map(Operands::weight)),
                quantizer(linear, "x_quantizer", Formats.Use.ACTIVATION, otherwise.map(Operands::activation)),
                quantizer(linear, "b_quantizer", Formats.Use.BIAS, otherwise.map(Operands::bias)));
    }

    private Quantizer quantizer(LqerTable linear, String key, Formats.Use use, Optional<Quantizer> otherwise) {
        Optional<LqerTable> table = linear.table(key);
        if (table.isEmpty() && linear.hasTable(DEFAULT)) {
            table = linear.table(DEFAULT);
        }
        if (table.isPresent()) {
            return Quantizer.read(table.get(), use, section);
        }
        if (otherwise.isEmpty() && use != Formats.Use.BIAS) {
            section.warn(linear, key, "left out, without a default; not rounded");
        }
        return otherwise.orElse(Quantizer.NONE);
    }

    /** Takes the weight format from the factors' settings, if there is no other. */
    void assumeWeights(LqerTable root, List<Quantizer> weights) {
        if (!found && weights.isEmpty()) {
            section.warn(root, "q_config", "has no linear; nothing is rounded");
        } else if (!found) {
            section.warn(root, "q_config", "has no linear; weights are as in approximate, the rest is not rounded");
            base = new Operands(weights.get(0), Quantizer.NONE, Quantizer.NONE);
        }
    }

    /** Returns whether some layers have a low-rank path. */
    boolean corrected() {
        return !corrected.isEmpty() || uncorrected.isEmpty();
    }

    /** Warns of layers without a low-rank path where others have one. */
    void warnOfUncorrected() {
        for (LqerTable linear : corrected.isEmpty() ? List.<LqerTable>of() : uncorrected) {
            section.warn(
                    linear, "name", "LQER has no low-rank path here; in ptq the patterns of [[approximation]] decide");
        }
    }

    /** Formats of the products with the factors, by our keys, where they differ from the inputs' format. */
    Map<String, Quantizer> products() {
        return products;
    }

    /** The weight formats, the most common one first. */
    List<Quantizer> weights() {
        List<Quantizer> weights = new ArrayList<>();
        weights.add(base.weight());
        overrides.values().forEach(operands -> weights.add(operands.weight()));
        return weights;
    }

    /** Writes the formats of all linears into the section. */
    void write() {
        write(base, section);
    }

    /** Adds the sections of single linears. */
    void writeOverrides(ExperimentText text) {
        overrides.forEach((pattern, operands) -> {
            ExperimentText.Section override = text.section("[[quantization.override]]");
            override.set("pattern", pattern);
            write(operands, override);
        });
    }

    private static void write(Operands operands, ExperimentText.Section section) {
        section.set("weight", operands.weight().table());
        section.set("activation", operands.activation().table());
        section.set("bias", operands.bias().table());
    }
}
