package dev.ptq.export;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Checkpoint;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShardsTest {
    @TempDir
    private Path folder;

    private void write(long mostBytes) throws IOException {
        try (NDManager manager = TensorEngine.newManager()) {
            Shards shards = new Shards(folder, "model", StoredType.F32, mostBytes);
            shards.add(
                    Map.of("a.norm", NativeFloats.of(manager, new float[] {1, 2, 3}, 3)),
                    Map.of("a.codes", RawTensor.of(new byte[] {1, 2, 3}, 3)));
            shards.add(Map.of("b", NativeFloats.of(manager, new float[] {4, -5}, 1, 2)), Map.of());
            shards.finish();
        }
    }

    private void requireWhole() throws IOException {
        try (Checkpoint read = Checkpoint.open(folder);
                NDManager manager = TensorEngine.newManager()) {
            assertThat(read.names()).containsExactlyInAnyOrder("a.norm", "a.codes", "b");
            assertThat(read.load(manager, "a.norm").toFloatArray()).containsExactly(1, 2, 3);
            assertThat(read.load(manager, "b").toFloatArray()).containsExactly(4, -5);
            assertThat(read.file("a.codes").raw("a.codes").bytes().get(2)).isEqualTo((byte) 3);
        }
    }

    private Stream<String> names() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList().stream();
        }
    }

    @Test
    void smallModelsAreOneFile() throws IOException {
        write(Shards.MOST_BYTES);
        assertThat(names()).containsExactly("model.safetensors");
        requireWhole();
    }

    @Test
    void largeOnesStayInPartsWithAnIndex() throws IOException {
        write(1);
        assertThat(names())
                .containsExactly(
                        "model-00001-of-00002.safetensors",
                        "model-00002-of-00002.safetensors",
                        "model.safetensors.index.json");
        assertThat(Files.readString(folder.resolve("model.safetensors.index.json")))
                .contains("\"total_size\" : 23");
        requireWhole();
    }
}
