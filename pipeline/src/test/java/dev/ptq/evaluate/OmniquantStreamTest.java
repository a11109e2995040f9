package dev.ptq.evaluate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OmniquantStreamTest {
    private static final int LENGTH = 32;

    @TempDir
    Path folder;

    /** A row of that many tokens, the start token included, no two places alike. */
    private static String row(int number, int tokens) {
        return IntStream.range(0, tokens - 1)
                .mapToObj(i -> Character.toString('!' + (number * 7 + i) % 90))
                .reduce("", String::concat);
    }

    private Tokenizer tokenizer() throws IOException {
        SyntheticModel.llama().vocabulary(259).tokenizer().write(folder);
        return Tokenizer.open(folder);
    }

    @Test
    void drawsThePiecesThatPythonDraws() throws IOException {
        // printed by CPython for documents of these lengths, the rules of the code being followed step by step
        int[] lengths = {5, 40, 33, 32, 100, 20, 64, 31, 32, 200};
        int[][] first = {
            {6, 26}, {4, 65}, {6, 19}, {9, 55}, {2, 0}, {2, 0}, {9, 64}, {9, 37}, {4, 12}, {1, 5}, {1, 5}, {6, 20}
        };
        int[][] last = {{2, 0}, {1, 1}, {6, 25}};
        List<String> rows = new ArrayList<>();
        for (int i = 0; i < lengths.length; i++) {
            rows.add(row(i, lengths[i]));
        }
        try (Tokenizer tokenizer = tokenizer()) {
            int[][] chunks = OmniquantStream.C4.chunks(rows, tokenizer, LENGTH);

            assertThat(chunks).hasDimensions(256, LENGTH);
            for (int i = 0; i < first.length; i++) {
                assertThat(chunks[i]).isEqualTo(piece(tokenizer, rows, first[i]));
            }
            for (int i = 0; i < last.length; i++) {
                assertThat(chunks[253 + i]).isEqualTo(piece(tokenizer, rows, last[i]));
            }
        }
    }

    private static int[] piece(Tokenizer tokenizer, List<String> rows, int[] drawn) {
        int[] tokens = tokenizer.encode(rows.get(drawn[0]));
        return Arrays.copyOfRange(tokens, drawn[1], drawn[1] + LENGTH);
    }

    @Test
    void rowsOfAChunkOrLessGiveNoPieces() throws IOException {
        try (Tokenizer tokenizer = tokenizer()) {
            List<String> rows = List.of(row(0, 5), row(1, LENGTH), row(2, 31));
            assertThatExceptionOfType(ConfigException.class)
                    .isThrownBy(() -> OmniquantStream.C4.chunks(rows, tokenizer, LENGTH))
                    .withMessageStartingWith("no row has more than 32 tokens");
        }
    }

    @Test
    void theOthersJoinTheirRows() throws IOException {
        List<String> rows = List.of(row(0, 30), row(1, 30), row(2, 30));
        try (Tokenizer tokenizer = tokenizer()) {
            int[] blankLines = tokenizer.encode(String.join("\n\n", rows));
            int[] spaces = tokenizer.encode(String.join(" ", rows));
            for (OmniquantStream stream : List.of(OmniquantStream.WIKITEXT2, OmniquantStream.PTB)) {
                assertThat(stream.chunks(rows, tokenizer, LENGTH)[1]).isEqualTo(Arrays.copyOfRange(blankLines, 32, 64));
            }
            for (OmniquantStream stream : List.of(OmniquantStream.PTB_NEW, OmniquantStream.C4_NEW)) {
                assertThat(stream.chunks(rows, tokenizer, LENGTH)[1]).isEqualTo(Arrays.copyOfRange(spaces, 32, 64));
            }
            List<String> many = Collections.nCopies(3000, row(0, 30));
            assertThat(OmniquantStream.C4_NEW.chunks(many, tokenizer, LENGTH)).hasDimensions(256, LENGTH);
            assertThat(OmniquantStream.C4_NEW.chunks(many, tokenizer, 200)).hasDimensions(1100 * 30 / 200, 200);
        }
    }
}
