package dev.ptq.allocate;

import dev.ptq.config.ConfigException;
import dev.ptq.config.TomlWriter;
import dev.ptq.format.NoFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.method.Method;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * The config of a run with other weight formats and low-rank corrections: those that each linear was given.
 *
 * @param base the experiment whose other settings hold
 */
record MixedConfig(Experiment base, List<Choice> choices) {
    private static final String APPROXIMATION = "approximation";
    private static final String METHOD = "method";
    private static final String RANK = "rank";
    private static final String PATTERN = "pattern";
    private static final String WEIGHT = "weight";
    private static final String OVERRIDE = "override";
    private static final String QUANTIZATION = "quantization";

    /**
     * Writes the config.
     *
     * @param given the index of each linear's choice, by module; a linear without one stays in float32
     * @param notes the section {@code [allocation]}, if there is one
     */
    String written(Map<String, Integer> given, Optional<Map<String, Object>> notes) {
        Map<String, Object> config = new LinkedHashMap<>();
        base.resolved().forEach((key, value) -> {
            if (key.equals(APPROXIMATION)) {
                config.put(key, steps(given));
            } else if (key.equals(QUANTIZATION)) {
                config.put(key, quantization(table(value), given));
            } else if (!key.equals("allocation")) {
                config.put(key, value);
            }
        });
        config.putIfAbsent(APPROXIMATION, steps(given));
        config.computeIfAbsent(QUANTIZATION, key -> quantization(new LinkedHashMap<>(), given));
        notes.ifPresent(found -> config.put("allocation", found));
        config.values().removeIf(value -> value instanceof List<?> list && list.isEmpty());
        return TomlWriter.write(config);
    }

    /** As above, as an experiment. */
    Experiment experiment(Map<String, Integer> given, String source) throws IOException {
        return Experiment.parse(written(given, Optional.empty()), source);
    }

    /** Returns why a linear cannot have a choice; empty if it can. */
    Optional<String> refusal(LinearSpec linear, Choice choice) {
        int most = Math.min(linear.inFeatures(), linear.outFeatures());
        if (choice.rank() > most) {
            return Optional.of("rank " + choice.rank() + " is more than " + most + ", its smaller side");
        }
        return choice.weight().refusal(new ai.djl.ndarray.types.Shape(linear.outFeatures(), linear.inFeatures()));
    }

    /** Makes sure that corrections can be copied from the run. */
    void requireStep() {
        boolean shares = original().stream().anyMatch(step -> Boolean.TRUE.equals(step.get("shared_factor")));
        if (shares && choices.stream().anyMatch(choice -> choice.rank() > 0)) {
            throw new ConfigException(
                    "the run's correction has shared_factor = true, so that what a linear costs depends on"
                            + " the choices of others; take a run without it, or choices without a rank");
        }
    }

    private List<LinearSpec> linears() {
        return LanguageModel.linears(base.shape());
    }

    private List<LinearSpec> having(Map<String, Integer> given, int choice) {
        return linears().stream()
                .filter(linear -> Integer.valueOf(choice).equals(given.get(linear.module())))
                .toList();
    }

    /** The weight format that most linears have, and an override for those of each other choice. */
    private Map<String, Object> quantization(Map<String, Object> before, Map<String, Integer> given) {
        Map<String, Object> after = new LinkedHashMap<>();
        Map<NumberFormat, List<LinearSpec>> formats = new LinkedHashMap<>();
        for (LinearSpec linear : linears()) {
            Integer choice = given.get(linear.module());
            NumberFormat format =
                    choice == null ? new NoFormat() : choices.get(choice).weight();
            formats.computeIfAbsent(format, each -> new ArrayList<>()).add(linear);
        }
        NumberFormat common = formats.entrySet().stream()
                .max(Comparator.comparingInt(entry -> entry.getValue().size()))
                .orElseThrow()
                .getKey();
        after.put(WEIGHT, common.table());
        List<Object> overrides = new ArrayList<>();
        before.forEach((key, value) -> {
            if (key.equals(OVERRIDE)) {
                overrides.addAll(withoutWeights((List<?>) value));
            } else if (!key.equals(WEIGHT)) {
                after.put(key, value);
            }
        });
        formats.forEach((format, linears) -> {
            if (!format.equals(common)) {
                Map<String, Object> override = new LinkedHashMap<>();
                override.put(PATTERN, WeightNames.pattern(linears));
                override.put(WEIGHT, format.table());
                overrides.add(override);
            }
        });
        if (!overrides.isEmpty()) {
            after.put(OVERRIDE, overrides);
        }
        return after;
    }

    /** The overrides of other operands: choices decide on all weights. */
    private static List<Map<String, Object>> withoutWeights(List<?> overrides) {
        List<Map<String, Object>> kept = new ArrayList<>();
        for (Object override : overrides) {
            Map<String, Object> table = table(override);
            table.remove(WEIGHT);
            if (table.size() > 1) {
                kept.add(table);
            }
        }
        return kept;
    }

    /** The run's steps, with those that correct replaced by one for each rank and method. */
    private List<Map<String, Object>> steps(Map<String, Integer> given) {
        List<Map<String, Object>> steps = original();
        List<Map<String, Object>> corrections = new ArrayList<>();
        Map<String, Map<Integer, List<LinearSpec>>> corrected = new LinkedHashMap<>();
        for (int i = 0; i < choices.size(); i++) {
            Choice choice = choices.get(i);
            List<LinearSpec> own = having(given, i);
            if (choice.rank() > 0 && !own.isEmpty()) {
                corrected
                        .computeIfAbsent(method(choice), each -> new TreeMap<>())
                        .computeIfAbsent(choice.rank(), each -> new ArrayList<>())
                        .addAll(own);
            }
        }
        corrected.forEach((method, ranks) -> ranks.forEach((rank, linears) -> {
            List<LinearSpec> ordered =
                    linears().stream().filter(linears::contains).toList();
            Map<String, Object> step = new LinkedHashMap<>();
            template(method).ifPresent(step::putAll);
            step.put(METHOD, method);
            step.remove("rank_budget");
            step.put(RANK, rank);
            step.put(PATTERN, WeightNames.pattern(ordered));
            corrections.add(step);
        }));
        OptionalInt place = firstCorrection();
        List<Map<String, Object>> all = new ArrayList<>();
        for (int i = 0; i < steps.size(); i++) {
            if (place.isPresent() && place.getAsInt() == i) {
                all.addAll(corrections);
            }
            if (!corrects(i)) {
                all.add(steps.get(i));
            }
        }
        if (place.isEmpty()) {
            all.addAll(corrections);
        }
        return all;
    }

    private String method(Choice choice) {
        OptionalInt first = firstCorrection();
        return choice.method()
                .or(() -> first.isPresent()
                        ? Optional.of(
                                String.valueOf(original().get(first.getAsInt()).get(METHOD)))
                        : Optional.empty())
                .orElse(Choice.METHOD_OF_OTHERS);
    }

    /** The run's own settings of a correction. */
    private Optional<Map<String, Object>> template(String method) {
        List<Map<String, Object>> steps = original();
        for (int i = 0; i < steps.size(); i++) {
            if (corrects(i) && method.equals(steps.get(i).get(METHOD))) {
                return Optional.of(steps.get(i));
            }
        }
        return Optional.empty();
    }

    private boolean corrects(int step) {
        Method method = base.steps().steps().get(step);
        return method.addsPaths();
    }

    private OptionalInt firstCorrection() {
        for (int i = 0; i < base.steps().steps().size(); i++) {
            if (corrects(i)) {
                return OptionalInt.of(i);
            }
        }
        return OptionalInt.empty();
    }

    private List<Map<String, Object>> original() {
        Object steps = base.resolved().getOrDefault(APPROXIMATION, List.of());
        return ((List<?>) steps).stream().map(MixedConfig::table).toList();
    }

    private static Map<String, Object> table(Object value) {
        Map<String, Object> table = new LinkedHashMap<>();
        ((Map<?, ?>) value).forEach((key, entry) -> table.put(String.valueOf(key), entry));
        return table;
    }
}
