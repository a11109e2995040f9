package dev.ptq.method;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.Shape;
import dev.ptq.format.Grid;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.model.LinearSpec;
import dev.ptq.model.LowRank;
import dev.ptq.model.LowRankFormats;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Low-rank parts in every order with rounding, on a block's own activations. */
class LowRankDecompositionTest {
    private static final String MXINT = "weight = { format = 'mxint', bits = 3 }";
    private static final String UNROUNDED = "\nfactor = { format = 'none' }\n";

    @TempDir
    private Path folder;

    private CalibratedBlock calibrated;

    @BeforeEach
    void open() throws IOException {
        calibrated = new CalibratedBlock(folder, 3);
    }

    @AfterEach
    void close() throws IOException {
        calibrated.close();
    }

    /** What steps leave in a block, every weight on its grid. */
    private record Done(BlockPatch patch, Map<LinearSpec, BlockContext.LayerReport> reports) {
        BlockContext.SplitReport split(LinearSpec spec) {
            return Objects.requireNonNull(reports.get(spec)).split().orElseThrow();
        }

        LowRank path(LinearSpec spec) {
            return patch.lowRank(spec.path()).orElseThrow();
        }
    }

    private Done run(String formats, String... steps) throws IOException {
        BlockContext context = calibrated.context(formats, calibrated.statistics);
        for (String step : steps) {
            CalibratedBlock.method(step.replace(';', '\n')).apply(context);
        }
        Map<LinearSpec, BlockContext.LayerReport> reports = new LinkedHashMap<>();
        context.layerReports().forEach(report -> reports.put(report.linear(), report));
        BlockPatch patch = context.finish();
        // weights that no method touched are rounded when they are read
        calibrated.block.linears().stream()
                .filter(linear -> patch.grid(linear.spec().path()).isEmpty())
                .forEach(linear -> context.formats()
                        .of(linear.spec())
                        .weight()
                        .fit(linear.weight(), Operand.WEIGHT)
                        .ifPresent(grid -> patch.round(linear.spec().path(), grid, 0)));
        return new Done(patch, reports);
    }

    private Map<LinearSpec, Double> losses(Done done) {
        Map<LinearSpec, Double> losses = new HashMap<>();
        done.reports()
                .keySet()
                .forEach(spec -> losses.put(spec, calibrated.outputLoss(spec, calibrated.lacking(done.patch(), spec))));
        assertThat(losses).isNotEmpty();
        return losses;
    }

    private static double found(Map<LinearSpec, Double> losses, LinearSpec spec) {
        return Objects.requireNonNull(losses.get(spec), spec::module);
    }

    private static double sum(Map<LinearSpec, Double> losses) {
        return losses.values().stream().mapToDouble(Double::doubleValue).sum();
    }

    @ParameterizedTest
    @CsvSource({"1, 2", "3, 2", "8, 3", "16, 4"})
    void srrIsNeverWorseThanQeraExact(int rank, int bits) throws IOException {
        String formats = MXINT.replace("3", String.valueOf(bits));
        Map<LinearSpec, Double> qera = losses(run(formats, "method = 'qera_exact'\nrank = " + rank + UNROUNDED));
        Done done = run(formats, "method = 'srr'\nrank = " + rank + UNROUNDED);
        Map<LinearSpec, Double> srr = losses(done);

        srr.forEach(
                (spec, loss) -> assertThat(loss).as(spec.module()).isLessThanOrEqualTo(found(qera, spec) * (1 + 1e-6)));
        assertThat(srr.keySet()).allSatisfy(spec -> {
            int share = done.split(spec).ofWeight();
            assertThat(share).isIn(0, rank / 4, rank / 2, 3 * rank / 4, rank);
            if (share > 0) {
                assertThat(srr.get(spec)).isLessThan(qera.get(spec));
            }
        });
        if (rank >= 3) {
            assertThat(sum(srr)).isLessThan(0.98 * sum(qera));
        }
    }

    /** What is reported is what runs: the grid and the path that are left in the block. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "method = 'srr';rank = 6",
                "method = 'srr';rank = 6;alternate = 3",
                "method = 'srr';rank = 8;shared_factor = true",
                "method = 'qera_exact';rank = 6;alternate = 4",
                "method = 'qera_exact';rank = 6;shared_factor = true",
                "method = 'qera_exact';rank = 6;shared_factor = true;alternate = 2;refit = true",
                "method = 'qera_exact';rank = 5;of = 'weight';alternate = 2",
                "method = 'svdquant';rank = 5;metric = 'hessian';shared_factor = true",
                "method = 'eora';rank = 5",
                "method = 'qera_exact';rank_budget = 1.5",
                "method = 'srr';rank = 8;solver = 'randomized'"
            })
    void theLossInTheReportIsThatOfTheOutput(String step) throws IOException {
        for (String factor : List.of("none'", "mxint', bits = 8, block_size = [16, 1]")) {
            Done done = run(MXINT, step + "\nfactor = { format = '" + factor + " }");
            assertThat(done.reports()).hasSize(7);
            losses(done).forEach((spec, loss) -> {
                BlockContext.LayerReport report =
                        Objects.requireNonNull(done.reports().get(spec));
                BlockContext.SplitReport split = done.split(spec);
                assertThat(split.loss()).as(spec.module()).isCloseTo(loss, within(1e-4 * loss));
                NDArray lacking = calibrated.lacking(done.patch(), spec);
                assertThat(report.errorAfter()).isCloseTo(calibrated.relative(spec, lacking), within(1e-5));
                if (!step.contains("weight") && !step.contains("svdquant")) {
                    assertThat(report.capturedEnergy()).isCloseTo(1 - loss / split.roundedLoss(), within(1e-4));
                }
            });
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "method = 'lqer'",
                "method = 'l2qer'",
                "method = 'qera_approx'",
                "method = 'qera_exact'",
                "method = 'qera_exact';of = 'both'",
                "method = 'qera_exact';shared_factor = true",
                "method = 'srr';metric = 'second_moment'",
                "method = 'svdquant'",
                "method = 'svdquant';metric = 'hessian'"
            })
    void repeatingIsNeverWorseThanTheFirstSplit(String step) throws IOException {
        Done once = run(MXINT, step + ";rank = 6" + UNROUNDED.replace('\n', ';'));
        Done often = run(MXINT, step + ";rank = 6;alternate = 5" + UNROUNDED.replace('\n', ';'));
        boolean isHessian = step.contains("exact") || step.contains("hessian");
        double better = 0;
        for (LinearSpec spec : often.reports().keySet()) {
            BlockContext.SplitReport split = often.split(spec);
            assertThat(split.loss()).as(spec.module()).isLessThanOrEqualTo(split.firstLoss() * (1 + 1e-6));
            assertThat(split.steps()).isEqualTo(5);
            if (isHessian) {
                double first = calibrated.outputLoss(spec, calibrated.lacking(once.patch(), spec));
                assertThat(split.firstLoss()).isCloseTo(first, within(1e-4 * first));
                better += split.bestStep() > 0 ? 1 : 0;
            } else {
                better += split.loss() < split.firstLoss() ? 1 : 0;
            }
        }
        assertThat(better).as("weights that repeating is of use to").isGreaterThan(2);
    }

    /** One factor for several linears takes back less of their errors than each one's own, and is stored once. */
    @ParameterizedTest
    @ValueSource(strings = {"qera_exact", "lqer", "qera_approx"})
    void sharedFactorsAreNeverBetterThanSeparateOnes(String method) throws IOException {
        String step = "method = '" + method + "'\nrank = 6" + UNROUNDED;
        Done own = run(MXINT, step + "alternate = 0\npath_input = 'unrounded'");
        Done shared = run(MXINT, step + "shared_factor = true");
        Map<String, Double> excess = new HashMap<>();
        shared.reports().keySet().forEach(spec -> {
            BlockContext.SplitReport split = shared.split(spec);
            double separate = own.split(spec).loss();
            if (shared.path(spec).sharing() == 1) {
                assertThat(split.separateLoss()).isEmpty();
                assertThat(split.loss()).isCloseTo(separate, within(1e-5 * separate));
            } else {
                assertThat(split.separateLoss().orElseThrow()).isCloseTo(separate, within(1e-5 * separate));
                assertThat(split.loss()).isGreaterThan(separate * (1 - 1e-6));
                excess.put(spec.path(), split.loss() / separate);
            }
        });
        assertThat(excess)
                .containsOnlyKeys(
                        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj");
        assertThat(excess.values()).anyMatch(ratio -> ratio > 1.05);

        LowRank query = path(shared, "self_attn.q_proj");
        assertThat(path(shared, "self_attn.v_proj").a().toFloatArray())
                .isEqualTo(query.a().toFloatArray());
        assertThat(path(shared, "mlp.up_proj").a().toFloatArray())
                .isNotEqualTo(query.a().toFloatArray());
        double bits = List.of("q_proj", "k_proj", "v_proj").stream()
                .mapToDouble(name -> path(shared, "self_attn." + name).bits())
                .sum();
        // A [64, 6] once, B [6, 64] and twice [6, 32]
        assertThat(bits).isCloseTo(32.0 * 6 * (64 + 64 + 32 + 32), within(1e-6));
    }

    private static LowRank path(Done done, String path) {
        return done.patch().lowRank(path).orElseThrow();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "method = 'srr'",
                "method = 'eora'",
                "method = 'svdquant'",
                "method = 'svdquant';metric = 'hessian'",
                "method = 'qera_exact';of = 'both';alternate = 1",
                "method = 'lqer';alternate = 2",
                "method = 'qera_exact';shared_factor = true"
            })
    void theFullRankRestoresTheWeight(String step) throws IOException {
        String keys = ";rank = 32;pattern = '.*(k|v)_proj.*'" + UNROUNDED.replace('\n', ';');
        Done done = run(MXINT, step + keys);
        assertThat(done.reports()).hasSize(2);
        boolean isShared = step.contains("shared");
        done.reports().keySet().forEach(spec -> {
            double left = calibrated.relative(spec, calibrated.lacking(done.patch(), spec));
            // side by side the two are [64, 64]
            assertThat(left < 1e-5).as("%s leaves %s", spec.module(), left).isEqualTo(!isShared);
        });
    }

    /** SVDQuant against plain loops: the largest singular triples by Jacobi rotations, and the rest rounded. */
    @Test
    void svdquantIsThePlainSvdOfTheWeightAndTheRestRounded() throws IOException {
        int rank = 4;
        Done done = run(MXINT, "method = 'svdquant'\nrank = " + rank + UNROUNDED);
        for (LinearSpec spec : done.reports().keySet()) {
            NDArray weight = calibrated.linear(spec).weight();
            double[][] leading = Jacobi.leading(rows(weight), rank);
            LowRank path = done.path(spec);
            float[][] product = rows(path.a().matMul(path.b()).transpose(1, 0));
            float[] rest = new float[Math.toIntExact(weight.size())];
            float[][] given = rows(weight);
            int columns = given[0].length;
            for (int i = 0; i < given.length; i++) {
                for (int j = 0; j < columns; j++) {
                    assertThat((double) product[i][j]).as(spec.module()).isCloseTo(leading[i][j], within(1e-5));
                    rest[i * columns + j] = given[i][j] - product[i][j];
                }
            }
            NumberFormat format = calibrated
                    .context(MXINT, calibrated.statistics)
                    .formats()
                    .of(spec)
                    .weight();
            NDArray expected = format.fakeQuantize(
                    NativeFloats.of(calibrated.block.manager(), rest, given.length, columns), Operand.WEIGHT);
            Grid grid = done.patch().grid(spec.path()).orElseThrow();
            assertThat(grid.values(calibrated.block.manager()).toFloatArray()).isEqualTo(expected.toFloatArray());
            assertThat(path.formats().input()).isEqualTo(LowRankFormats.Input.UNROUNDED);
            assertThat(path.formats().productA().orElseThrow().isNone()).isTrue();
        }
    }

    private static float[][] rows(NDArray matrix) {
        float[] flat = matrix.toFloatArray();
        int columns = Math.toIntExact(matrix.size(1));
        float[][] rows = new float[flat.length / columns][];
        Arrays.setAll(rows, i -> Arrays.copyOfRange(flat, i * columns, (i + 1) * columns));
        return rows;
    }

    @Test
    void eoraIsQeraExactWithOtherDefaults() throws IOException {
        String keys = "'\nrank = 6\nfactor = { format = 'mxint', bits = 8 }";
        Done eora = run(MXINT, "method = 'eora" + keys);
        Done qera = run(MXINT, "method = 'qera_exact" + keys);
        qera.reports().keySet().forEach(spec -> {
            assertThat(eora.path(spec).a().toFloatArray())
                    .isEqualTo(qera.path(spec).a().toFloatArray());
            assertThat(eora.path(spec).b().toFloatArray())
                    .isEqualTo(qera.path(spec).b().toFloatArray());
        });
        LowRankDecomposition alone = (LowRankDecomposition) CalibratedBlock.method("method = 'eora'");
        assertThat(alone.phase()).isEqualTo(Phase.CORRECT);
        assertThat(alone.correction().rank()).isEqualTo(64);
        assertThat(alone.correction().factor().storageBits(new Shape(3, 5), Operand.FACTOR))
                .isEqualTo(16.0 * 15);
    }

    /** Settings that no new key changes are those of the plain method, and so is its fingerprint. */
    @Test
    void newKeysLeftAtTheirDefaultsAreNoSettings() {
        for (String name : List.of("lqer", "l2qer", "qera_approx", "qera_exact")) {
            String step = "method = '" + name + "'\n";
            assertThat(CalibratedBlock.method(step)).isInstanceOf(LowRankCorrection.class);
            assertThat(CalibratedBlock.method(
                            step + "alternate = 0\nrefit = false\nshared_factor = false\npath_input = 'rounded'"))
                    .isEqualTo(CalibratedBlock.method(step));
            for (String key : List.of(
                    "alternate = 1",
                    "refit = true",
                    "shared_factor = true",
                    "path_input = 'unrounded'",
                    "of = 'both'")) {
                assertThat(CalibratedBlock.method(step + key)).isInstanceOf(LowRankDecomposition.class);
            }
        }
    }

    /** A second fit of {@code B} takes back some of what rounding {@code A} coarsely did. */
    @Test
    void refittingHelpsWhereFactorsAreCoarse() throws IOException {
        String step = "method = 'qera_exact'\nrank = 8\npath_input = 'unrounded'\nfactor = { format = 'mxint', bits = ";
        double plain = sum(losses(run(MXINT, step + "3 }")));
        double refitted = sum(losses(run(MXINT, step + "3 }\nrefit = true")));
        assertThat(refitted).isLessThan(0.99 * plain);

        String exact = step.replace("'mxint', bits = ", "'none' }");
        Map<LinearSpec, Double> without = losses(run(MXINT, exact));
        losses(run(MXINT, exact + "\nrefit = true"))
                .forEach((spec, loss) -> assertThat(loss)
                        .as(spec.module())
                        .isCloseTo(without.get(spec), within(1e-4 * found(without, spec))));
    }

    /** Ranks under a budget take no more bits than it allows, and leave less than the same bits spread evenly. */
    @Test
    void ranksUnderABudgetLeaveLessThanEqualOnes() throws IOException {
        Done even = run(MXINT, "method = 'qera_exact'\nrank = 4\npath_input = 'unrounded'" + UNROUNDED);
        double weights =
                even.reports().keySet().stream().mapToLong(LinearSpec::size).sum();
        double budget = bits(even) / weights;
        Done chosen = run(MXINT, "method = 'qera_exact'\nrank_budget = " + budget + UNROUNDED);

        assertThat(bits(chosen))
                .isLessThanOrEqualTo(budget * weights * (1 + 1e-9))
                .isGreaterThan(0.95 * budget * weights);
        assertThat(total(chosen)).isLessThan(0.97 * total(even));
        assertThat(chosen.reports().values().stream()
                        .map(BlockContext.LayerReport::rank)
                        .distinct())
                .hasSizeGreaterThan(2);

        Done little = run(MXINT, "method = 'qera_exact'\nrank_budget = 0.2" + UNROUNDED);
        assertThat(little.reports().values()).anySatisfy(report -> {
            assertThat(report.rank()).isZero();
            assertThat(report.errorAfter()).isEqualTo(report.errorBefore());
            assertThat(little.patch().lowRank(report.linear().path())).isEmpty();
        });
    }

    /** The squared error of all outputs. */
    private double total(Done done) {
        return losses(done).entrySet().stream()
                .mapToDouble(entry -> entry.getValue() * entry.getKey().outFeatures())
                .sum();
    }

    private static double bits(Done done) {
        return done.reports().keySet().stream()
                .mapToDouble(spec ->
                        done.patch().lowRank(spec.path()).map(LowRank::bits).orElse(0.0))
                .sum();
    }

    /** What AWQ clips off stays lacking unless the path has it; in repetitions the path takes the outliers itself. */
    @Test
    void clippedWeightsAreSplitAsWhatTheyStandFor() throws IOException {
        for (String step :
                List.of("srr'\nrank = 6", "qera_exact'\nrank = 6\nalternate = 4", "lqer'\nrank = 4\nalternate = 1")) {
            BlockContext context = calibrated.context(MXINT, calibrated.statistics);
            calibrated
                    .block
                    .linears()
                    .forEach(linear -> context.clip(linear, linear.weight().clip(-0.03, 0.03)));
            CalibratedBlock.method("method = '" + step + UNROUNDED).apply(context);
            BlockPatch patch = context.finish();
            for (BlockContext.LayerReport report : context.layerReports()) {
                LinearSpec spec = report.linear();
                assertThat(report.errorAfter())
                        .as(spec.module())
                        .isCloseTo(calibrated.relative(spec, calibrated.lacking(patch, spec)), within(1e-5));
            }
        }
    }

    /** Weights that are not rounded lack nothing. */
    @Test
    void weightsWithoutAFormatStayWhole() throws IOException {
        for (String step : List.of("srr'\nrank = 4", "qera_exact'\nrank = 4\nalternate = 2", "svdquant'\nrank = 4")) {
            BlockContext context = calibrated.context("weight = { format = 'none' }", calibrated.statistics);
            CalibratedBlock.method("method = '" + step + UNROUNDED).apply(context);
            assertThat(context.layerReports())
                    .hasSize(7)
                    .allSatisfy(report -> assertThat(report.errorAfter()).isLessThan(1e-6));
        }
    }
}
