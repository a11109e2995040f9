package dev.ptq.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.data.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PreTokenizerTest {
    @TempDir
    private Path folder;

    /** Two characters become the token that both make, unless the text is cut between them. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            ignoreLeadingAndTrailingWhitespace = false,
            value = {
                "gpt-2|aB 12 Ab _1 _a  's|!a a1",
                "smollm|aB Ab _a 's|12 _1 !a",
                "llama-bpe|aB 12 Ab _a !a 's|a1 _1",
                "qwen2|aB Ab _a !a 's|12 a1 _1",
                "tekken|Ab AB _a !a 's !/ _!|aB 12 a1 _1 1a",
                "gpt-4o|Ab AB _a !a 's !/ 12|aB a1 _1"
            })
    void cutsWhereTheModelsTokenizerDoes(String name, String whole, String cut) throws IOException {
        for (String pair : whole.trim().split(" +", -1)) {
            assertThat(tokens(name, pair.replace('_', ' '))).as(pair).isEqualTo(1);
        }
        for (String pair : cut.split(" +", -1)) {
            assertThat(tokens(name, pair.replace('_', ' '))).as(pair).isEqualTo(2);
        }
    }

    private int tokens(String name, String pair) throws IOException {
        String bytes = pair.replace(' ', '\u0120');
        String first = bytes.substring(0, 1);
        String second = bytes.substring(1);
        List<String> tokens = new ArrayList<>(List.of("<s>"));
        tokens.addAll(new TreeSet<>(List.of(first, second)));
        tokens.add(bytes);
        List<Integer> types = new ArrayList<>();
        tokens.forEach(token -> types.add(token.equals("<s>") ? 3 : 1));
        Path file = new GgufBuilder()
                .with("general.architecture", "llama")
                .with("tokenizer.ggml.model", "gpt2")
                .with("tokenizer.ggml.pre", name)
                .with("tokenizer.ggml.tokens", tokens)
                .with("tokenizer.ggml.token_type", types)
                .with("tokenizer.ggml.merges", List.of(first + " " + second))
                .with("tokenizer.ggml.bos_token_id", 0)
                .with("tokenizer.ggml.add_bos_token", false)
                .write(folder.resolve("tokenizer.gguf"));
        try (Tokenizer tokenizer = Tokenizer.open(file)) {
            return tokenizer.encodePlain(pair).length;
        }
    }
}
