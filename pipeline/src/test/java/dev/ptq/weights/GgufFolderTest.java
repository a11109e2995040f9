package dev.ptq.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.gguf.TinyGguf;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufFolderTest {
    @TempDir
    private Path folder;

    @Test
    void takesTheFileThatIsMeant() throws IOException {
        String name = folder.toString();
        Path first = TinyGguf.llama().write(folder.resolve("a.gguf"));
        assertThat(ModelFolder.resolve(name).path()).isEqualTo(first);
        assertThat(ModelFolder.resolve(first.toString()).path()).isEqualTo(first);
        TinyGguf.llama().write(folder.resolve("mmproj-a.gguf"));
        assertThat(ModelFolder.resolve(name).path()).isEqualTo(first);
        Path parts = TinyGguf.llama().writeParts(folder, "b", 3);
        assertThatThrownBy(() -> ModelFolder.resolve(name))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("name one by file: [a.gguf, b-00001-of-00003.gguf]");
        ModelFolder split = ModelFolder.resolve(name, "b-00001-of-00003.gguf");
        assertThat(split.path()).isEqualTo(parts);
        assertThat(split.files()).hasSize(3);
        for (String other : new String[] {"c.gguf", "../a.gguf", first.toString(), "b-00002-of-00003.gguf"}) {
            assertThatThrownBy(() -> ModelFolder.resolve(name, other))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContainingAll("file: expected a GGUF file of", "a.gguf");
        }
        assertThatThrownBy(() -> ModelFolder.resolve(first.toString(), "a.gguf"))
                .hasMessageContaining("no folder of GGUF files");
        assertThatThrownBy(() -> ModelFolder.resolve(name + "/none.gguf")).hasMessageContaining("there is no file");
        Files.writeString(folder.resolve("model.safetensors"), "");
        assertThat(ModelFolder.resolve(name).path()).isEqualTo(folder);
        assertThat(ModelFolder.resolve(name, "a.gguf").path()).isEqualTo(first);
    }

    @Test
    void takesAnotherTokenizer() throws IOException {
        Path file = TinyGguf.llama().write(folder.resolve("a.gguf"));
        Path reference = ModelFolder.resolve("reference").path();
        for (Path place : new Path[] {reference, reference.resolve(Tokenizer.FILE)}) {
            ModelFolder model = ModelFolder.resolve(file.toString()).withTokenizer(place.toString());
            assertThat(model.path()).isEqualTo(file);
            assertThat(Tokenizer.sha256(model.tokenizer())).isEqualTo(Tokenizer.sha256(reference));
            try (Tokenizer tokenizer = Tokenizer.open(model.tokenizer())) {
                assertThat(tokenizer.encodePlain("the ship")).isNotEmpty();
            }
        }
        assertThatThrownBy(() -> ModelFolder.resolve(file.toString()).withTokenizer("no/such"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("where there is nothing");
    }
}
