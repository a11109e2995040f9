package dev.ptq.parquet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.io.InputStream;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** The files were written by DuckDB and by arrow-rs, see the README beside them; DuckDB also wrote them as JSON. */
class ParquetFileTest {
    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"uncompressed", "snappy", "zstd", "gzip", "lz4_raw", "v2"})
    void readsWhatDuckDbWrote(String name) throws IOException {
        assertThat(text(ParquetFile.read(file(name + ".parquet"), Optional.empty())))
                .isEqualTo(text(lines("questions.jsonl")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"arrow-snappy", "arrow-zstd"})
    void readsWhatArrowWrote(String name) throws IOException {
        assertThat(text(ParquetFile.read(file(name + ".parquet"), Optional.empty())))
                .isEqualTo(text(lines("arrow.jsonl")));
    }

    @Test
    void readsDictionariesOverSeveralRowGroups() throws IOException {
        List<ObjectNode> rows = ParquetFile.read(file("groups.parquet"), Optional.empty());

        assertThat(rows).hasSize(5000);
        for (int i = 0; i < rows.size(); i++) {
            assertThat(rows.get(i))
                    .hasToString("{\"id\":" + i + ",\"text\":\"word " + i % 7 + "\",\"pairs\":[[" + i % 3 + "," + i % 5
                            + "],[]]}");
        }
    }

    @Test
    void readsOneColumnAlone() throws IOException {
        List<ObjectNode> rows = ParquetFile.read(file("zstd.parquet"), Optional.of("answerKey"));

        assertThat(rows).extracting(ObjectNode::toString).first().isEqualTo("{\"answerKey\":\"A\"}");
        assertThat(rows).allMatch(row -> row.size() == 1).hasSize(4);
        assertThatIOException()
                .isThrownBy(() -> ParquetFile.read(file("groups.parquet"), Optional.of("body")))
                .withMessageEndingWith(
                        "groups.parquet: cannot be read as Parquet: it has no column \"body\"; it has [id, text,"
                                + " pairs]");
    }

    @Test
    void keepsTheTypes() throws IOException {
        ObjectNode row =
                ParquetFile.read(file("types.parquet"), Optional.empty()).get(0);

        assertThat(row.get("price").decimalValue()).isEqualTo(new BigDecimal("12.34"));
        assertThat(row.get("tiny").asInt()).isEqualTo(200);
        assertThat(row.get("medium").asLong()).isEqualTo(4294967295L);
        assertThat(row.get("large").bigIntegerValue()).isEqualTo(new BigInteger("18446744073709551615"));
        assertThat(row.get("day").asInt()).isEqualTo(19782);
        assertThat(row.get("map")).hasToString("[{\"key\":\"k\",\"value\":1},{\"key\":\"l\",\"value\":2}]");
        assertThat(row.get("bytes").binaryValue()).containsExactly(1, 255);
        assertThat(row.get("real").floatValue()).isEqualTo(1.5f);
        JsonNode first = ParquetFile.read(file("v2.parquet"), Optional.empty()).get(2);
        assertThat(first.get("id").longValue()).isEqualTo(9007199254740993L);
        assertThat(first.get("checked").isNull()).isTrue();
        assertThat(first.get("choices").isNull()).isTrue();
    }

    @Test
    void aFileWithoutRowsHasNone() throws IOException {
        assertThat(ParquetFile.read(file("empty.parquet"), Optional.empty())).isEmpty();
    }

    @Test
    void saysWhatItCannotDecompress() throws IOException {
        assertRefused(
                Files.readAllBytes(file("brotli.parquet")),
                "it is compressed with BROTLI; expected one of [gzip, lz4_raw, snappy, uncompressed, zstd]");
    }

    @Test
    void refusesWhatIsNoParquet() throws IOException {
        assertRefused(new byte[0], "it does not end as such a file does");
        assertRefused("PAR1".getBytes(StandardCharsets.US_ASCII), "it does not end as such a file does");
        assertRefused(
                "{\"text\": \"a line of something else\"}\n".getBytes(StandardCharsets.US_ASCII), "it does not end");
        assertRefused(ending(100, "PAR1"), "its footer cannot have 100 bytes");
        assertRefused(ending(-1, "PAR1"), "its footer cannot have -1 bytes");
        assertRefused(ending(0, "PAR1"), "its footer cannot have 0 bytes");
        assertRefused(ending(Integer.MAX_VALUE, "PAR1"), "its footer cannot have 2147483647 bytes");
        assertRefused(ending(5, "PARE"), "it is encrypted");
        assertRefused(ending(20, "PAR1"), "");
        assertThatIOException()
                .isThrownBy(() -> ParquetFile.read(folder.resolve("none"), Optional.empty()))
                .isInstanceOf(NoSuchFileException.class);
    }

    /** The footer of {@code groups.parquet} says 5000 rows; with a budget for fewer they are not read. */
    @Test
    void rowsCannotTakeMoreThanTheirBudget() throws IOException {
        assertThat(ParquetFile.read(file("groups.parquet"), Optional.empty(), 10 << 20))
                .hasSize(5000);
        assertThatIOException()
                .isThrownBy(() -> ParquetFile.read(file("groups.parquet"), Optional.empty(), 1 << 20))
                .withMessageContaining("its rows take more than 1 MiB of memory");
    }

    /** Whatever a byte becomes: rows, or a message that names the file; never another failure, and never for long. */
    @ParameterizedTest
    @ValueSource(strings = {"snappy", "zstd", "gzip", "v2", "arrow-snappy", "groups"})
    void survivesDamage(String name) throws IOException {
        byte[] whole = Files.readAllBytes(file(name + ".parquet"));
        SplittableRandom random = new SplittableRandom(7);
        int refused = 0;
        for (int i = 0; i < 150; i++) {
            byte[] damaged = i % 4 == 0 ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
            for (int slip = 0; slip <= i % 3 && damaged.length > 0; slip++) {
                // the second half is mostly footer, where sizes are
                int at = i % 2 == 0
                        ? random.nextInt(damaged.length)
                        : damaged.length - 1 - random.nextInt(damaged.length / 2 + 1);
                damaged[Math.max(0, at)] = (byte) random.nextInt(256);
            }
            Path path = Files.write(folder.resolve("damaged.parquet"), damaged);
            try {
                ParquetFile.read(path, Optional.empty(), 64 << 20);
            } catch (IOException e) {
                refused++;
                assertThat(e).hasMessageStartingWith(path + ": cannot be read as Parquet: ");
            } catch (RuntimeException | Error e) {
                fail("damage %d of %s", i, name, e);
            }
        }
        assertThat(refused).isGreaterThan(40);
    }

    private void assertRefused(byte[] content, String reason) throws IOException {
        Path path = Files.write(folder.resolve("some.parquet"), content);
        assertThatIOException()
                .isThrownBy(() -> ParquetFile.read(path, Optional.empty()))
                .withMessageMatching(Pattern.quote(path + ": cannot be read as Parquet: " + reason) + ".*");
    }

    private static byte[] ending(int length, String magic) {
        ByteBuffer bytes = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
        bytes.put("PAR1".getBytes(StandardCharsets.US_ASCII)).position(32);
        return bytes.putInt(length)
                .put(magic.getBytes(StandardCharsets.US_ASCII))
                .array();
    }

    private Path file(String name) throws IOException {
        Path copy = folder.resolve(name);
        if (!Files.exists(copy)) {
            try (InputStream in = Objects.requireNonNull(getClass().getResourceAsStream(name))) {
                Files.copy(in, copy);
            }
        }
        return copy;
    }

    private List<JsonNode> lines(String name) throws IOException {
        return Files.readAllLines(file(name)).stream()
                .map(line -> JsonMapper.shared().readTree(line))
                .toList();
    }

    private static List<String> text(List<? extends JsonNode> rows) {
        return rows.stream().map(JsonNode::toString).toList();
    }
}
