package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.data.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenStreamTest {
    private static final List<String> DOCUMENTS = List.of(
            "the old house stood", "it burned, until morning", "\"who had built it?\" nobody knew", "ü 12 — the end");

    @TempDir
    private Path folder;

    private Tokenizer tokenizer() throws IOException {
        List<String> learned = TinyTraining.recipe(1)
                .of(new TinyTraining(folder).texts(), "one")
                .train()
                .rows();
        BytePairTokenizer.train(learned, 320).write(folder);
        return Tokenizer.open(folder);
    }

    @Test
    void isTheJoinedTextThatProtocolsTokenize() throws IOException {
        try (Tokenizer tokenizer = tokenizer()) {
            int[] joined = tokenizer.encode(String.join("\n\n", DOCUMENTS));
            int[] tokens = TokenStream.of(DOCUMENTS, tokenizer, 1).tokens();
            // from the first separator of the joined text on, which is the second of the stream
            int first = tokenizer.encode(DOCUMENTS.get(0)).length;
            int second = tokenizer.encodePlain("\n\n" + DOCUMENTS.get(0)).length - 1;
            assertThat(Arrays.copyOfRange(tokens, second, tokens.length))
                    .isEqualTo(Arrays.copyOfRange(joined, first, joined.length));
        }
    }

    @Test
    void sequencesStartWithADocumentOrAnywhere() throws IOException {
        try (Tokenizer tokenizer = tokenizer()) {
            TokenStream stream = TokenStream.of(DOCUMENTS, tokenizer, 1);
            SplittableRandom random = new SplittableRandom(3);
            Set<String> starts = new HashSet<>();
            Set<String> anywhere = new HashSet<>();
            for (int i = 0; i < 400; i++) {
                int[] sequence = stream.draw(random, 20);
                assertThat(sequence).hasSize(20);
                boolean document = sequence[0] == BytePairTokenizer.START;
                (document ? starts : anywhere).add(tokenizer.decode(sequence));
            }
            String whole = tokenizer.decode(stream.tokens()) + tokenizer.decode(stream.tokens());
            assertThat(starts).hasSize(DOCUMENTS.size());
            assertThat(DOCUMENTS)
                    .allSatisfy(document ->
                            assertThat(starts).anyMatch(start -> start.startsWith(document.substring(0, 5))));
            assertThat(anywhere).hasSizeGreaterThan(20);
            assertThat(whole).contains(DOCUMENTS);
        }
    }

    @Test
    void tooLittleTextIsAnError() throws IOException {
        try (Tokenizer tokenizer = tokenizer()) {
            assertThatThrownBy(() -> TokenStream.of(DOCUMENTS, tokenizer, 1000))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("more than 1000 tokens");
        }
    }
}
