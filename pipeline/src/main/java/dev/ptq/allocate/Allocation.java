package dev.ptq.allocate;

import dev.ptq.artifact.Metric;
import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.ModelFormats;
import dev.ptq.model.TokenCost;
import dev.ptq.progress.Progress;
import dev.ptq.run.Plan;
import dev.ptq.run.Runs;
import dev.ptq.stage.Candidate;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.Stages;
import dev.ptq.stage.WeightScores;
import dev.ptq.stage.WeightScores.Score;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/** Allots a choice to every linear of a model, so that their scores are least within budgets. */
public final class Allocation {
    /** A budget is kept although a sum in another order may round up. */
    private static final double ROUND_OFF = 1e-12;

    private final Experiment base;
    private final String source;
    private final List<Choice> choices;
    private final List<Budget> budgets;
    private final Score score;
    private final MixedConfig config;
    private final List<LinearSpec> linears;

    /**
     * What was found.
     *
     * @param config the text of a config
     * @param linears of each choice
     * @param predicted the costs of the config
     * @param score sum of the scores of its linears
     * @param exact whether no other allotment has less; if not, none has less than {@code bound}
     */
    public record Result(
            String config,
            List<Integer> linears,
            Map<Metric, Double> predicted,
            double score,
            double bound,
            boolean exact) {}

    private Allocation(Experiment base, String source, List<Choice> choices, List<Budget> budgets, Score score) {
        this.base = base;
        this.source = source;
        this.choices = choices;
        this.budgets = budgets;
        this.score = score;
        this.config = new MixedConfig(base, choices);
        this.linears = LanguageModel.linears(base.shape());
    }

    /**
     * Checks what is asked for; nothing is computed yet.
     *
     * @param run a directory whose config has all other settings, and calibration samples
     * @param score that is to be least
     * @throws ConfigException with what is wrong
     */
    public static Allocation of(Path run, List<Choice> choices, List<Budget> budgets, Score score) throws IOException {
        Path file = run.resolve(RunFiles.RESOLVED);
        if (choices.size() < 2) {
            throw new ConfigException(
                    "--choice: expected at least two, of which each linear gets one, got " + choices.size());
        }
        if (budgets.isEmpty()) {
            throw new ConfigException("--budget: expected at least one, such as bits_per_weight=3.25");
        }
        Set<Metric> known = new HashSet<>();
        for (Budget budget : budgets) {
            if (!known.add(budget.cost())) {
                throw new ConfigException(
                        "--budget: there are two of " + budget.cost().label());
            }
        }
        Allocation allocation = new Allocation(
                Experiment.read(file, List.of()), file.toString(), List.copyOf(choices), List.copyOf(budgets), score);
        new Candidate(allocation.base).require(file.toString());
        allocation.config.requireStep();
        allocation.requireUse();
        return allocation;
    }

    /** Makes sure that every choice is one for some linear, and that every linear has one. */
    private void requireUse() {
        List<String> problems = new ArrayList<>();
        for (int i = 0; i < choices.size(); i++) {
            Choice choice = choices.get(i);
            if (linears.stream()
                    .noneMatch(linear -> config.refusal(linear, choice).isEmpty())) {
                LinearSpec first = linears.get(0);
                problems.add("--choice " + (i + 1) + ": no linear allows it: " + first.weightName() + ": "
                        + config.refusal(first, choice).orElseThrow());
            }
        }
        for (LinearSpec linear : linears) {
            if (problems.isEmpty()
                    && choices.stream()
                            .allMatch(choice -> config.refusal(linear, choice).isPresent())) {
                problems.add("--choice: " + linear.weightName() + " allows none of them: "
                        + config.refusal(linear, choices.get(0)).orElseThrow());
            }
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    /**
     * Scores the choices for every linear, unless that was done before, and allots them.
     *
     * @param results the folder whose cache keeps the scores
     * @throws ConfigException if a budget is out of reach
     */
    public Result solve(Path results, Progress.Reporter reporter) throws IOException {
        List<Candidate> candidates = new ArrayList<>();
        for (int i = 0; i < choices.size(); i++) {
            Map<String, Integer> all = new LinkedHashMap<>();
            for (LinearSpec linear : linears) {
                if (config.refusal(linear, choices.get(i)).isEmpty()) {
                    all.put(linear.module(), i);
                }
            }
            String name = "--choice " + (i + 1);
            Candidate candidate = new Candidate(config.experiment(all, name));
            candidate.require(name);
            candidates.add(candidate);
        }
        List<WeightScores> scores;
        try (Workspace workspace = new Workspace(base, reporter)) {
            Plan plan = new Plan(Stages.ofSensitivity(workspace, candidates, false));
            Runs runs = new Runs(results);
            if (!runs.cached(plan).keySet().containsAll(plan.fingerprints().keySet())) {
                workspace.check();
            }
            scores = runs.read(
                    plan, artifacts -> WeightScores.read(Objects.requireNonNull(artifacts.get(RunFiles.SENSITIVITY))));
        }
        return allotted(scores);
    }

    private Result allotted(List<WeightScores> all) {
        Map<String, List<WeightScores>> byModule = new LinkedHashMap<>();
        all.forEach(row -> byModule.computeIfAbsent(row.module(), each -> new ArrayList<>())
                .add(row));
        TokenCost rest = TokenCost.none();
        ModelFormats formats = ModelFormats.of(base.quantization(), base.shape());
        for (int block = 0; block < base.shape().blocks(); block++) {
            rest = rest.plus(TokenCost.besideLinears(base.shape(), block, formats, base.costContext()));
        }
        double[][] scores = new double[linears.size()][choices.size()];
        double[][][] costs = new double[linears.size()][choices.size()][budgets.size()];
        for (int item = 0; item < linears.size(); item++) {
            LinearSpec linear = linears.get(item);
            for (int option = 0; option < choices.size(); option++) {
                WeightScores row =
                        Objects.requireNonNull(byModule.get(linear.module())).get(option);
                boolean allowed = config.refusal(linear, choices.get(option)).isEmpty();
                scores[item][option] = allowed ? row.score(score) : Double.POSITIVE_INFINITY;
                for (int i = 0; i < budgets.size(); i++) {
                    costs[item][option][i] = cost(budgets.get(i).cost(), linear, row);
                }
            }
        }
        double[] limits = new double[budgets.size()];
        for (int i = 0; i < limits.length; i++) {
            limits[i] = budgets.get(i).limit() * (1 - ROUND_OFF)
                    - constant(budgets.get(i).cost(), rest);
        }
        Knapsack knapsack = new Knapsack(scores, costs, limits);
        requireReach(knapsack, limits, rest);
        Knapsack.Solution solution = knapsack.solve()
                .orElseThrow(() -> new ConfigException("--budget: no allotment keeps all of them at once; raise one"));
        return result(solution, byModule, rest);
    }

    /** The part of a linear in a cost. */
    private double cost(Metric metric, LinearSpec linear, WeightScores row) {
        return switch (metric) {
            case BITS_PER_WEIGHT -> row.bitsPerWeight() * linear.size() / weights();
            case BOPS_PER_TOKEN -> row.bitOperations();
            case BYTES_PER_TOKEN -> row.bytes();
            default -> throw new IllegalArgumentException("not a cost: " + metric);
        };
    }

    private double weights() {
        return linears.stream().mapToDouble(LinearSpec::size).sum();
    }

    /** The part of a cost that no choice changes. */
    private static double constant(Metric metric, TokenCost rest) {
        return switch (metric) {
            case BOPS_PER_TOKEN -> rest.bitOperations();
            case BYTES_PER_TOKEN -> rest.bytes();
            default -> 0;
        };
    }

    private void requireReach(Knapsack knapsack, double[] limits, TokenCost rest) {
        List<String> problems = new ArrayList<>();
        for (int i = 0; i < limits.length; i++) {
            if (knapsack.least(i) > limits[i]) {
                double constant = constant(budgets.get(i).cost(), rest);
                problems.add("--budget " + budgets.get(i) + ": out of reach, the choices allow "
                        + shown(knapsack.least(i) + constant) + " to " + shown(knapsack.most(i) + constant)
                        + "; raise it, or add a smaller choice");
            }
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    /** With up to six digits; what is rounded is rounded up, so that it is within reach. */
    private static String shown(double value) {
        return new BigDecimal(value)
                .multiply(new BigDecimal(1 - 1e-9))
                .round(new MathContext(6, RoundingMode.CEILING))
                .stripTrailingZeros()
                .toPlainString();
    }

    private Result result(Knapsack.Solution solution, Map<String, List<WeightScores>> byModule, TokenCost rest) {
        Map<String, Integer> given = new LinkedHashMap<>();
        List<Integer> counts = new ArrayList<>(Collections.nCopies(choices.size(), 0));
        Map<Metric, Double> predicted = new TreeMap<>();
        Budget.COSTS.forEach(metric -> predicted.put(metric, constant(metric, rest)));
        List<String> modules = new ArrayList<>();
        List<Integer> indices = new ArrayList<>();
        List<Double> bits = new ArrayList<>();
        List<Double> scores = new ArrayList<>();
        for (int item = 0; item < linears.size(); item++) {
            LinearSpec linear = linears.get(item);
            int option = solution.options().get(item);
            WeightScores row =
                    Objects.requireNonNull(byModule.get(linear.module())).get(option);
            given.put(linear.module(), option);
            counts.set(option, counts.get(option) + 1);
            Budget.COSTS.forEach(metric -> predicted.merge(metric, cost(metric, linear, row), Double::sum));
            modules.add(linear.module());
            indices.add(option);
            bits.add(row.bitsPerWeight());
            scores.add(row.score(score));
        }
        Map<String, Object> notes = new LinkedHashMap<>();
        notes.put("run", source);
        notes.put("score", score.label());
        notes.put("budget", budgets.stream().map(Budget::toString).toList());
        notes.put("choices", choices.stream().map(Choice::label).toList());
        List<String> costs = new ArrayList<>();
        predicted.forEach((metric, value) -> costs.add(metric.label() + "=" + value));
        notes.put("predicted", costs);
        notes.put("linears", modules);
        notes.put("chosen", indices);
        notes.put("bits", bits);
        notes.put("scores", scores);
        String text = config.written(given, Optional.of(notes));
        return new Result(text, counts, predicted, solution.score(), solution.bound(), solution.exact());
    }
}
