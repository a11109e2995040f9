package dev.ptq.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Parts, transposes and folds of stored tensors, against what is written out by hand. */
class DerivedWeightsTest {
    private final NDManager manager = TensorEngine.newManager();

    @TempDir
    private Path folder;

    private WeightSource stored;

    @BeforeEach
    void write() throws IOException {
        Map<String, NDArray> tensors = new LinkedHashMap<>();
        tensors.put("matrix", NativeFloats.of(manager, new float[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 4, 3));
        tensors.put("vector", NativeFloats.of(manager, new float[] {-1, 0, 0.5f, 2}, 4));
        tensors.put("broken", NativeFloats.of(manager, new float[] {1, Float.NaN, 3, 4}, 2, 2));
        SafetensorsWriter.write(folder.resolve("model.safetensors"), tensors, Map.of());
        stored = WeightSource.open(folder);
    }

    @AfterEach
    void close() throws IOException {
        stored.close();
        manager.close();
    }

    private float[] values(Weight weight) throws IOException {
        return weight.load(manager).toFloatArray();
    }

    @Test
    void aSliceIsSomeRowsOfTheWhole() throws IOException {
        Weight slice = stored.weight("matrix").slice(1, 3);

        assertThat(slice.shape()).containsExactly(2L, 3L);
        assertThat(slice.type()).isEqualTo(StoredType.F32);
        assertThat(values(slice)).containsExactly(4, 5, 6, 7, 8, 9);
        assertThat(slice.rows(manager, 1, 2).toFloatArray()).containsExactly(7, 8, 9);
        assertThat(slice.gather(manager, new int[] {1, 0, 1}).toFloatArray())
                .containsExactly(7, 8, 9, 4, 5, 6, 7, 8, 9);
        assertThat(values(stored.weight("vector").slice(1, 3))).containsExactly(0, 0.5f);
    }

    @Test
    void aTransposeHasRowsWhereTheStoredHasColumns() throws IOException {
        Weight turned = stored.weight("matrix").transposed();

        assertThat(turned.shape()).containsExactly(3L, 4L);
        assertThat(values(turned)).containsExactly(1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12);
        assertThat(turned.rows(manager, 1, 2).toFloatArray()).containsExactly(2, 5, 8, 11);
        assertThat(turned.gather(manager, new int[] {2, 2, 0}).toFloatArray())
                .containsExactly(3, 6, 9, 12, 3, 6, 9, 12, 1, 4, 7, 10);
        // may be rounded in its own memory
        assertThat(NativeFloats.writableWindow(turned.load(manager)).capacity()).isEqualTo(12);
    }

    @Test
    void aFusedAndTurnedProjectionComesApart() throws IOException {
        // as GPT-2 stores its attention: inputs by query, key and value
        Weight key = stored.weight("matrix").transposed().slice(1, 2);

        assertThat(key.shape()).containsExactly(1L, 4L);
        assertThat(values(key)).containsExactly(2, 5, 8, 11);
    }

    @Test
    void aFoldAddsToEveryValue() throws IOException {
        Weight folded = stored.weight("vector").plus(1);

        assertThat(values(folded)).containsExactly(0, 1, 1.5f, 3);
        assertThat(values(stored.weight("vector"))).containsExactly(-1, 0, 0.5f, 2);
        assertThat(stored.weight("matrix").plus(1).rows(manager, 3, 4).toFloatArray())
                .containsExactly(11, 12, 13);
        assertThat(stored.weight("matrix")
                        .plus(-1)
                        .gather(manager, new int[] {0})
                        .toFloatArray())
                .containsExactly(0, 1, 2);
    }

    @Test
    void aSourceHasTheNamesThatItsFamilyGivesThem() throws IOException {
        WeightSource derived = new DerivedWeights(
                stored,
                Map.of(
                        "up", stored.weight("matrix").slice(0, 2),
                        "norm", stored.weight("vector").plus(1)));

        assertThat(derived.names()).containsExactlyInAnyOrder("up", "norm");
        assertThat(derived.load(manager, "up").toFloatArray()).containsExactly(1, 2, 3, 4, 5, 6);
        derived.expect("norm", List.of(4L));
        assertThatIOException()
                .isThrownBy(() -> derived.expect("up", List.of(3L, 3L)))
                .withMessageContainingAll("matrix", "rows 0 to 2", "implies shape [3, 3], found [2, 3]");
        assertThatIOException()
                .isThrownBy(() -> derived.weight("matrix"))
                .withMessage("no tensor matrix; there are such as norm, up");
    }

    @Test
    void whatIsNotThereIsNamed() throws IOException {
        Weight matrix = stored.weight("matrix");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> matrix.slice(2, 5))
                .withMessageContainingAll("matrix", "no rows 2 to 5", "[4, 3]");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> stored.weight("vector").transposed())
                .withMessageContainingAll("vector", "[4]");
        for (Weight weight :
                List.of(matrix.slice(0, 3), matrix.transposed(), matrix.plus(1).slice(1, 4))) {
            assertThatIOException()
                    .isThrownBy(() -> weight.gather(manager, new int[] {3}))
                    .withMessageContainingAll("matrix", "no row 3");
            assertThatIOException()
                    .isThrownBy(() -> weight.rows(manager, 2, 4))
                    .withMessageContainingAll("matrix", "no rows 2 to 4");
        }
    }

    @Test
    void aValueThatIsNoNumberIsFoundThroughEveryView() throws IOException {
        Weight broken = stored.weight("broken");
        for (Weight weight : List.of(broken, broken.transposed(), broken.plus(1), broken.slice(0, 1))) {
            assertThatIOException()
                    .isThrownBy(() -> weight.load(manager))
                    .withMessageContainingAll("model.safetensors", "broken", "NaN");
        }
        assertThat(values(broken.slice(1, 2))).containsExactly(3, 4);
    }
}
