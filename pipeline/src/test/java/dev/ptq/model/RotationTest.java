package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.Rotation.Matrix;
import dev.ptq.model.Rotation.Place;
import dev.ptq.progress.Progress;
import dev.ptq.tensor.Shared;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class RotationTest {
    static Stream<Path> families() throws IOException {
        return TinyFamilies.folders().stream();
    }

    /** Every family with each rotation that its parts allow, and with all of them in their other kinds. */
    static Stream<Arguments> rotations() throws IOException {
        List<Arguments> all = new ArrayList<>();
        for (Path folder : TinyFamilies.folders()) {
            List<Place> places = allowed(ModelConfig.read(folder));
            for (Place place : places) {
                all.add(Arguments.of(folder, new Rotation(List.of(place), Matrix.HADAMARD, 0, false, 1)));
            }
            all.add(Arguments.of(folder, new Rotation(places, Matrix.ORTHOGONAL, 4, true, 2)));
            all.add(Arguments.of(folder, new Rotation(places, Matrix.HADAMARD, 0, true, 3)));
        }
        return all.stream();
    }

    private static List<Place> allowed(ModelConfig model) {
        Set<Place> absent = Rotation.absent(model).keySet();
        return Stream.of(Place.values())
                .filter(place -> !absent.contains(place))
                .toList();
    }

    private static float[] logits(LanguageModel model) throws IOException {
        int size = model.config().vocabulary().size();
        int[][] chunks = {
            IntStream.range(0, 12).map(i -> (7 * i + 3) % size).toArray(),
            IntStream.range(0, 12).map(i -> (5 * i + 1) % size).toArray()
        };
        try (BlockRunner runner = new BlockRunner(model, BlockRunner.BlockChange.none(), false);
                HiddenStates states = model.embed(chunks, 2);
                Progress progress = Progress.Reporter.none().start("", 1, "")) {
            runner.run(states, ActivationObserver.NONE, progress);
            try (NDArray logits = Scoring.logits(model, states, 0)) {
                return logits.toFloatArray();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("rotations")
    void logitsStayAsTheyAre(Path folder, Rotation rotation) throws IOException {
        try (LanguageModel model = LanguageModel.open(folder);
                LanguageModel rotated = model.rotated(rotation)) {
            float[] expected = logits(model);
            float[] found = logits(rotated);

            float largest = 0;
            for (float logit : expected) {
                largest = Math.max(largest, Math.abs(logit));
            }
            assertThat(found).hasSameSizeAs(expected);
            for (int i = 0; i < found.length; i++) {
                assertThat(found[i]).isCloseTo(expected[i], within(1e-4f * Math.max(1, largest)));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("families")
    void turnsWeightsAndActivationsOfThePlacesItNames(Path folder) throws IOException {
        try (LanguageModel model = LanguageModel.open(folder)) {
            for (Place place : allowed(model.config())) {
                Rotation rotation = new Rotation(List.of(place), Matrix.HADAMARD, 0, false, 1);
                try (LanguageModel rotated = model.rotated(rotation)) {
                    assertThat(changed(model, rotated)).as("%s", place).isEqualTo(expected(place));
                }
            }
        }
    }

    /** The hook points of the linears of the first block with other inputs, and of those with other weights. */
    private static Set<String> changed(LanguageModel model, LanguageModel rotated) throws IOException {
        Set<String> changed = new TreeSet<>();
        try (NDManager manager = TensorEngine.newManager()) {
            for (LinearSpec linear : LanguageModel.linears(model.config())) {
                if (linear.block() == 0) {
                    float[] before =
                            model.weights().load(manager, linear.weightName()).toFloatArray();
                    float[] after =
                            rotated.weights().load(manager, linear.weightName()).toFloatArray();
                    if (!Arrays.equals(before, after)) {
                        changed.add(place(linear));
                    }
                }
            }
        }
        return changed;
    }

    private static String place(LinearSpec linear) {
        return linear.hookPoint().place().name();
    }

    private static Set<String> expected(Place place) {
        return new TreeSet<>(
                switch (place) {
                    case R1 -> Set.of("ATTENTION_IN", "ATTENTION_OUT", "MLP_IN", "MLP_MID");
                    case R2 -> Set.of("ATTENTION_IN", "ATTENTION_OUT");
                    case R3 -> Set.of();
                    case R4 -> Set.of("MLP_MID");
                });
    }

    /** The table in the documents has a row for each family, or one for each variant where they differ. */
    @ParameterizedTest
    @MethodSource("families")
    void theDocumentsSayWhichRotationsAFamilyAllows(Path folder) throws IOException {
        ModelConfig model = ModelConfig.read(folder);
        Map<Place, String> absent = Rotation.absent(model);
        String row = "| `" + model.family() + "` | "
                + allowed(model).stream().map(Place::name).collect(Collectors.joining(", ")) + " | "
                + absent.entrySet().stream()
                        .map(entry -> entry.getKey() + ": " + entry.getValue())
                        .collect(Collectors.joining("; "))
                + " |";

        assertThat(Files.readAllLines(Shared.root().resolve("configs/README.md")))
                .contains(row);
    }

    @Test
    void aRandomOrthogonalMatrixIsOne() {
        Rotation rotation = new Rotation(List.of(Place.R1), Matrix.ORTHOGONAL, 0, false, 5);
        try (NDManager manager = TensorEngine.newManager()) {
            NDArray identity = manager.eye(24, 24, 0, DataType.FLOAT64);
            NDArray q = rotation.drawn().residual(24).apply(identity);

            assertThat(q.matMul(q.transpose(1, 0)).toDoubleArray())
                    .containsExactly(identity.toDoubleArray(), within(1e-14));
            assertThat(new Rotation(List.of(Place.R1), Matrix.ORTHOGONAL, 0, false, 6)
                            .drawn()
                            .residual(24)
                            .apply(identity)
                            .toDoubleArray())
                    .isNotEqualTo(q.toDoubleArray());
            assertThat(q.getShape()).isEqualTo(new Shape(24, 24));
        }
    }
}
