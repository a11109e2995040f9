package dev.ptq.method;

import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.ConfigTable;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.Rotation;
import dev.ptq.model.SmoothingMapping;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** All steps of an experiment, in file order: checks which go together and in which order, and tells what they need. */
public record Composition(List<Method> steps) {
    public Composition {
        steps = List.copyOf(steps);
    }

    /** Returns whether there are no steps, so that weights are rounded to nearest. */
    public boolean isEmpty() {
        return steps.isEmpty();
    }

    /** Returns how a model is rotated before the steps work on it, if it is. */
    public Optional<Rotation> rotation(ModelConfig model, long seed) {
        return rotate().map(rotate -> rotate.of(model, seed));
    }

    /** Returns how the rotation of the model is learned, if it is. */
    public Optional<Rotate.Learning> rotationLearning() {
        return rotate().flatMap(Rotate::learning);
    }

    /** Returns whether any step rotates the model. */
    public boolean rotates() {
        return rotate().isPresent();
    }

    private Optional<Rotate> rotate() {
        return steps.stream()
                .filter(Rotate.class::isInstance)
                .map(Rotate.class::cast)
                .findFirst();
    }

    /** Returns whether any step rescales channels. */
    public boolean transforms() {
        return steps.stream().anyMatch(step -> !step.transforms().isEmpty());
    }

    /** Returns whether any step needs calibration. */
    public boolean needsCalibration() {
        return rotationLearning().isPresent()
                || steps.stream().anyMatch(step -> step.needs().calibration());
    }

    /** Returns whether samples must reach blocks through the finished blocks before them. */
    public boolean quantizedPath() {
        return steps.stream().anyMatch(step -> step.needs().quantizedPath());
    }

    /** Returns whether samples must go through the full-precision model, block by block, too. */
    public boolean fullPath() {
        return trains() || transforms();
    }

    /** Returns whether any step trains. */
    public boolean trains() {
        return trainings().findAny().isPresent();
    }

    /** Returns whether the seed decides anything in a step. */
    public boolean draws() {
        return steps.stream().anyMatch(Method::draws);
    }

    /** The training settings of the steps that learn. */
    public Stream<Training> trainings() {
        return steps.stream().flatMap(step -> step.needs().training().stream());
    }

    /**
     * The statistics that calibration takes, in one pass of the full-precision model.
     *
     * @param more statistics wanted by others
     * @param linears of the whole model
     */
    public WantedStatistics calibrationStatistics(Set<Statistic> more, List<LinearSpec> linears) {
        return wanted(step -> step.needs().inputs() == Inputs.FULL_PRECISION, more, linears);
    }

    private WantedStatistics wanted(Predicate<Method> some, Set<Statistic> more, List<LinearSpec> linears) {
        List<Method> asking = steps.stream().filter(some).toList();
        Set<Statistic> kinds = Stream.concat(
                        more.stream(), asking.stream().flatMap(step -> step.needs().statistics().stream()))
                .collect(Collectors.toSet());
        List<Method> ofMatrices = asking.stream()
                .filter(step -> step.needs().statistics().stream().anyMatch(Statistic::isMatrix))
                .toList();
        return WantedStatistics.of(
                kinds, linears, linear -> ofMatrices.stream().anyMatch(step -> step.matches(linear)));
    }

    /**
     * Returns whether the calibration samples themselves must go through the model along with the methods: some step
     * learns, or takes statistics that calibration cannot provide.
     *
     * @param formatsAsk whether formats ask for statistics
     */
    public boolean needsSamples(boolean formatsAsk) {
        return sampling(formatsAsk).isPresent();
    }

    /** The step because of which there are samples. */
    private Optional<Method> sampling(boolean formatsAsk) {
        Optional<Method> changing = Optional.empty();
        for (Method step : steps) {
            if (step.needs().quantizedPath()
                    || step.needs().samples()
                    || (changing.isPresent() && !step.needs().statistics().isEmpty())) {
                return Optional.of(step);
            }
            if (changing.isEmpty() && !step.transforms().isEmpty()) {
                changing = Optional.of(step);
            }
        }
        return formatsAsk ? changing : Optional.empty();
    }

    /**
     * Returns the step because of which samples go through the blocks, so that these are worked on one after the other;
     * empty if every block can be worked on alone.
     *
     * @param formatsAsk whether formats ask for statistics
     */
    public Optional<Method> ordering(boolean formatsAsk) {
        return sampling(formatsAsk)
                .or(() -> steps.stream()
                        .filter(step -> !step.transforms().isEmpty())
                        .findFirst());
    }

    /**
     * Reports steps that do not go together.
     *
     * @param tables of the steps
     */
    public void check(List<ConfigTable> tables) {
        checkOrder(tables);
        checkMappings(tables);
        checkClips(tables);
        checkSplits(tables);
    }

    private void checkOrder(List<ConfigTable> tables) {
        @Nullable Method latest = null;
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            if (latest == null) {
                latest = step;
            } else if (step.phase() == Phase.ROTATE && latest.phase() == Phase.ROTATE) {
                tables.get(i).problem("method", "the model is rotated by an earlier step; keep one of the two");
            } else if (step.phase() == Phase.ROUND && latest.phase() == Phase.ROUND && !areApart(step, latest)) {
                tables.get(i)
                        .problem(
                                "method",
                                step.title() + " comes after " + latest.title()
                                        + ", which has rounded the weights already; keep one of the two");
            } else if (step.phase().compareTo(latest.phase()) < 0) {
                tables.get(i).problem("method", outOfOrder(step, latest) + "; the order is " + legalOrder());
            } else {
                latest = step;
            }
        }
    }

    /** Low-rank steps that round the weights of their patterns alone: these must not overlap, see {@link #checkModel}. */
    private static boolean areApart(Method step, Method other) {
        return step.addsPaths() && other.addsPaths();
    }

    private static String outOfOrder(Method step, Method after) {
        return switch (after.phase()) {
            case ROTATE -> throw new IllegalStateException("nothing comes before a rotation");
            case TRANSFORM -> step.title() + " rotates the model that " + after.title() + " transforms block by block";
            case SPLIT ->
                step.title() + " transforms weights of which " + after.title() + " has taken a part out already";
            case ROUND -> step.title() + " comes after " + after.title() + ", which has rounded the weights already";
            case CORRECT -> step.title() + " changes weights whose error " + after.title() + " has corrected already";
        };
    }

    private String legalOrder() {
        return steps.stream()
                .sorted(Comparator.comparing(Method::phase))
                .map(Method::title)
                .collect(Collectors.joining(", "));
    }

    /** A mapping is transformed once: a second step would not start where its method assumes. */
    private void checkMappings(List<ConfigTable> tables) {
        Map<SmoothingMapping.Kind, Method> transformed = new EnumMap<>(SmoothingMapping.Kind.class);
        for (int i = 0; i < steps.size(); i++) {
            for (SmoothingMapping.Kind mapping :
                    steps.get(i).transforms().stream().sorted().toList()) {
                Method earlier = transformed.putIfAbsent(mapping, steps.get(i));
                if (earlier != null) {
                    tables.get(i)
                            .problem(
                                    "mappings",
                                    "mapping " + mapping.label() + " is transformed by " + earlier.name()
                                            + " already; leave it out in one of the two");
                }
            }
        }
    }

    /** Ranges that were found for weights are not those of rescaled ones. */
    private void checkClips(List<ConfigTable> tables) {
        Optional<Method> clipping = Optional.empty();
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            if (clipping.isPresent() && !step.transforms().isEmpty()) {
                tables.get(i)
                        .problem(
                                "method",
                                step.name() + " rescales weights that "
                                        + clipping.get().name()
                                        + " has clipped already; set clip = false there, or put that step behind this"
                                        + " one");
            }
            if (step.clips()) {
                clipping = Optional.of(step);
            }
        }
    }

    /** A part split off a weight would not be transformed with it. */
    private void checkSplits(List<ConfigTable> tables) {
        Optional<Method> split =
                steps.stream().filter(step -> step.phase() == Phase.SPLIT).findFirst();
        for (int i = 0; split.isPresent() && i < steps.size(); i++) {
            if (steps.get(i).phase() == Phase.ROUND
                    && !steps.get(i).transforms().isEmpty()) {
                tables.get(i)
                        .problem(
                                "mappings",
                                steps.get(i).name() + " transforms weights of which "
                                        + split.get().name()
                                        + " has taken a part out already; leave the mappings out (mappings = []), or"
                                        + " put a step last that corrects the error instead (of = \"error\")");
            }
        }
    }

    /**
     * Reports what calibration does not provide.
     *
     * @param samples of {@code [calibration]}; absent where there is no such section
     */
    public void checkCalibration(List<ConfigTable> tables, OptionalInt samples) {
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            Optional<Training> training = step.needs().training();
            Optional<Integer> batch = training.map(Training::batchSize).or(() -> step.samplesAtOnce());
            if (samples.isEmpty() && (batch.isPresent() || step.needs().calibration())) {
                tables.get(i)
                        .problem(
                                "method",
                                step.name() + (batch.isPresent() ? " trains on samples" : " needs statistics")
                                        + ": add a [calibration] section");
            } else if (batch.isPresent() && batch.get() > samples.getAsInt()) {
                tables.get(i)
                        .problem(
                                "batch_size",
                                "expected at most calibration.num_samples, " + samples.getAsInt() + ", got "
                                        + batch.get());
            }
        }
    }

    /**
     * Reports what does not fit a model of this shape. A linear has one low-rank path: a second would replace it.
     *
     * @param model as it is stored
     * @param seed of rotations
     * @return what the steps leave out because the model has no place for it, a sentence each
     */
    public List<String> checkModel(
            ModelConfig model, long seed, QuantizationSettings quantization, List<ConfigTable> tables) {
        ModelConfig shape =
                rotation(model, seed).map(rotation -> rotation.of(model)).orElse(model);
        List<LinearSpec> linears = LanguageModel.linears(shape);
        Map<String, String> corrected = new HashMap<>();
        List<String> left = new ArrayList<>();
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            step.check(step.phase() == Phase.ROTATE ? model : shape, quantization, tables.get(i));
            left.addAll(step.notes(model));
            left.addAll(MappingKeys.check(step, shape, tables.get(i)));
            if (step.addsPaths()) {
                String name = i + " (" + step.name() + ")";
                for (LinearSpec linear : linears) {
                    String earlier = step.matches(linear) ? corrected.putIfAbsent(linear.weightName(), name) : null;
                    if (earlier != null) {
                        tables.get(i)
                                .problem(
                                        "pattern",
                                        linear.weightName() + " is corrected by step " + earlier
                                                + " already; give the steps patterns that do not overlap");
                        break;
                    }
                }
            }
        }
        return left;
    }

    /** Reports steps that change values whose ranges are found before any training. */
    public void checkRanges(List<ConfigTable> tables) {
        Optional<Method> transforming = Optional.empty();
        for (int i = 0; i < steps.size(); i++) {
            Method step = steps.get(i);
            boolean learns = step.needs().training().isPresent();
            if (learns && transforming.isPresent()) {
                tables.get(i)
                        .problem(
                                "method",
                                step.name() + " would be trained on values whose range dynamic = false took before "
                                        + transforming.get().name()
                                        + " changed them; leave out one of the three");
            }
            if (!step.transforms().isEmpty()) {
                transforming = Optional.of(step);
            }
            if (learns && !step.transforms().isEmpty()) {
                tables.get(i)
                        .problem(
                                "method",
                                step.name()
                                        + " changes, while it is trained, the values whose range dynamic = false takes"
                                        + " beforehand; leave out one of the two");
            }
        }
    }

    /** Reports steps that would have to know, in every step of training, what formats of weights ask about linears. */
    public void checkKnownWeights(List<ConfigTable> tables) {
        for (int i = 0; i < steps.size(); i++) {
            if (steps.get(i).needs().training().isPresent()
                    && !steps.get(i).transforms().isEmpty()) {
                tables.get(i)
                        .problem(
                                "method",
                                steps.get(i).name()
                                        + " changes, while it is trained, the inputs and weights that range ="
                                        + " \"imatrix_mse\" and shared_scale = true go by; leave out one of the two");
            }
        }
    }

    /** Reads test-time adaptation; its step must be the only one. */
    public Optional<TestTimeAdaptation> adaptation(List<ConfigTable> tables) {
        Optional<TestTimeAdaptation> adaptation = Optional.empty();
        for (int i = 0; i < steps.size(); i++) {
            Optional<TestTimeAdaptation> found = steps.get(i).adaptation(tables.get(i));
            if (found.isPresent() && i > 0) {
                tables.get(i)
                        .problem(
                                TestTimeAdaptation.KEY,
                                "starts from the last block of the model, not from what "
                                        + steps.get(i - 1).name() + " made of it; leave out one of the two");
            } else if (found.isPresent() && steps.size() > 1) {
                tables.get(i)
                        .problem(
                                TestTimeAdaptation.KEY,
                                "changes weights that " + steps.get(1).name()
                                        + " was made for; leave out one of the two");
            }
            adaptation = found.isPresent() ? found : adaptation;
        }
        return adaptation;
    }
}
