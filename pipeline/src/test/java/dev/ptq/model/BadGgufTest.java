package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import ai.djl.ndarray.NDManager;
import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.gguf.GgufBuilder;
import dev.ptq.gguf.GgufBuilder.Tensor;
import dev.ptq.gguf.TinyGguf;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** GGUF files that are damaged, lie, or ask for what is not there: an error that names file and key or tensor. */
class BadGgufTest {
    @TempDir
    private Path folder;

    private static final int LENGTH_OF_FIRST_KEY = 24;
    private static final int TENSOR_COUNT = 8;
    private static final int KEY_COUNT = 16;

    /** Opens all that a run would, and reads every value. */
    private static void use(Path file) throws IOException {
        try (LanguageModel model = LanguageModel.open(file);
                Tokenizer tokenizer = Tokenizer.open(
                        file, Tokenizer.AddBos.AUTO, model.config().vocabulary().size())) {
            tokenizer.encode("ab cab, abc");
            for (String name : model.weights().names()) {
                try (NDManager manager = TensorEngine.newManager()) {
                    model.weights().load(manager, name);
                }
            }
        }
    }

    private void assertRefused(byte[] bytes, String... words) throws IOException {
        Path file = Files.write(folder.resolve("bad.gguf"), bytes);
        assertThatThrownBy(() -> use(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(file.toString())
                .hasMessageContainingAll(words);
    }

    private void assertRefused(UnaryOperator<GgufBuilder> change, String... words) throws IOException {
        assertRefused(change.apply(TinyGguf.llama()).bytes(), words);
    }

    private static byte[] with(byte[] bytes, int at, long value) {
        byte[] changed = bytes.clone();
        ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN).putLong(at, value);
        return changed;
    }

    @Test
    void readsTheWholeOne() throws IOException {
        use(TinyGguf.llama().write(folder.resolve("good.gguf")));
        use(TinyGguf.llama().aligned(4096).write(folder.resolve("aligned.gguf")));
        use(TinyGguf.llama().writeParts(folder, "parts", 4));
    }

    @Test
    void refusesTruncatedFiles() throws IOException {
        byte[] whole = TinyGguf.llama().bytes();
        for (int length : List.of(0, 3, 4, 7, 23, 24, 40, 300, 900, 2000, whole.length / 2, whole.length - 40)) {
            assertRefused(Arrays.copyOf(whole, length), "truncated");
        }
    }

    @Test
    void refusesOtherFiles() throws IOException {
        byte[] whole = TinyGguf.llama().bytes();
        assertRefused("no such thing".getBytes(StandardCharsets.UTF_8), "begins with the letters GGUF");
        byte[] big = whole.clone();
        big[4] = 0;
        big[7] = 3;
        assertRefused(big, "big-endian");
        byte[] first = whole.clone();
        first[4] = 1;
        assertRefused(first, "version 2 or 3", "got 1");
        assertThatThrownBy(() -> use(folder.resolve("none.gguf"))).hasMessageContaining("no such file");
        assertThatThrownBy(() -> use(Files.createDirectory(folder.resolve("folder.gguf"))))
                .isInstanceOf(IOException.class);
    }

    @Test
    void refusesCountsThatTheFileCannotHold() throws IOException {
        byte[] whole = TinyGguf.llama().bytes();
        for (long count : new long[] {1L << 60, -1, Long.MIN_VALUE, 1L << 32, Long.MAX_VALUE / 8}) {
            assertRefused(with(whole, TENSOR_COUNT, count), "the number of tensors", Long.toUnsignedString(count));
            assertRefused(with(whole, KEY_COUNT, count), "the number of keys", Long.toUnsignedString(count));
            assertRefused(with(whole, LENGTH_OF_FIRST_KEY, count), "the length of key 0", Long.toUnsignedString(count));
        }
        int tokens = indexOf(whole, "tokenizer.ggml.tokens") + "tokenizer.ggml.tokens".length() + 8;
        assertRefused(with(whole, tokens, 1L << 60), "tokenizer.ggml.tokens", "1152921504606846976");
        assertRefused(with(whole, tokens + 8, 1L << 60), "tokenizer.ggml.tokens", "1152921504606846976");
    }

    private static int indexOf(byte[] bytes, String text) {
        return new String(bytes, StandardCharsets.ISO_8859_1).indexOf(text);
    }

    @Test
    void refusesWrongPlacesOfTensors() throws IOException {
        byte[] whole = TinyGguf.llama().bytes();
        String name = "blk.0.attn_norm.weight";
        int dimension = indexOf(whole, name) + name.length() + 4;
        int offset = dimension + 8 + 4;
        assertRefused(with(whole, offset, 1L << 40), name, "truncated or its header is wrong");
        assertRefused(with(whole, offset, -32), name, "multiple of the alignment");
        assertRefused(with(whole, offset, 33), name, "multiple of the alignment 32");
        assertRefused(with(whole, offset, 0), "overlaps");
        assertRefused(with(whole, dimension, 1L << 62), name, "does not fit");
        assertRefused(with(whole, dimension, 0), name, "does not fit");
        assertRefused(with(whole, dimension, -1), name, "does not fit");
        assertRefused(with(whole, dimension, 255), name, "the metadata of", "implies shape [256], found [255]");
        byte[] dimensions = whole.clone();
        dimensions[dimension - 4] = 9;
        assertRefused(dimensions, name, "1 to 4 dimensions, got 9");
        for (Object alignment : new Object[] {0, 24, 1 << 30}) {
            assertRefused(file -> file.with("general.alignment", alignment), "general.alignment", "power of two");
        }
        assertRefused(file -> file.with("general.alignment", "32"), "general.alignment", "whole number");
    }

    @Test
    void refusesWhatIsThereTwiceOrNotAtAll() throws IOException {
        assertRefused(file -> file.again("output_norm.weight"), "output_norm.weight", "is there twice");
        assertRefused(file -> file.withoutTensor("blk.0.ffn_up.weight"), "mlp.up_proj");
        assertRefused(file -> file.withoutTensor("token_embd.weight"), "token_embd.weight");
        assertRefused(file -> file.without("llama.block_count"), "llama.block_count", "is missing");
        assertRefused(file -> file.without("general.architecture"), "general.architecture", "is missing");
        byte[] others = TinyGguf.llama().with("general.namf", "x").bytes();
        assertRefused(replaced(others, "general.namf", "general.name"), "general.name", "is there twice");
    }

    private static byte[] replaced(byte[] bytes, String from, String to) {
        byte[] changed = bytes.clone();
        byte[] text = to.getBytes(StandardCharsets.UTF_8);
        System.arraycopy(text, 0, changed, indexOf(bytes, from), text.length);
        return changed;
    }

    @Test
    void refusesWhatIsNotRead() throws IOException {
        Tensor tensor = new Tensor("output_norm.weight", List.of(256L), 23, new byte[136]);
        assertRefused(file -> file.tensor(tensor), "output_norm.weight", "IQ4_XS", "Q4_K", "MXFP4");
        Tensor other = new Tensor("output_norm.weight", List.of(256L), 1000, new byte[136]);
        assertRefused(file -> file.tensor(other), "output_norm.weight", "number 1000");
        assertRefused(
                file -> file.with("general.architecture", "bert"),
                "bert",
                "[llama, qwen2, qwen3, gemma2, gemma3, phi3]");
        assertRefused(file -> file.with("llama.attention.sink", 4), "llama.attention.sink", "not known");
        assertRefused(file -> file.with("llama.rope.scaling.type", "su"), "llama.rope.scaling.type", "\"su\"");
        assertRefused(file -> file.with("tokenizer.ggml.model", "t5"), "tokenizer.ggml.model", "\"t5\"", "[model]");
        assertRefused(file -> file.with("tokenizer.ggml.pre", "new"), "tokenizer.ggml.pre", "\"new\"", "[model]");
        assertRefused(
                file -> file.with("tokenizer.ggml.model", "gpt2").with("tokenizer.ggml.pre", "new"),
                "tokenizer.ggml.pre",
                "[gpt-2, smollm, llama-bpe, llama3, llama-v3, qwen2, tekken, gpt-4o]");
    }

    @Test
    void refusesConfigsThatDisagreeWithTensors() throws IOException {
        assertRefused(file -> file.with("llama.vocab_size", 17), "llama.vocab_size", "17", "16");
        assertRefused(file -> file.with("llama.block_count", 2), "model.layers.1");
        assertRefused(file -> file.with("llama.feed_forward_length", 128), "implies shape");
        assertRefused(file -> file.with("llama.embedding_length", 128), "partial_rotary_factor", "of a head, got 64");
        assertRefused(file -> file.with("llama.attention.head_count", 3), "attention.head_count", "divisor");
        assertRefused(file -> file.with("llama.attention.head_count_kv", 4), "implies shape");
        assertRefused(
                file -> file.with("llama.expert_count", 4).with("llama.expert_used_count", 2), "block_sparse_moe");
        assertRefused(
                file -> file.tensor("rope_freqs.weight", new float[31], 31), "rope_freqs.weight", "expected 32 values");
        assertRefused(
                file -> file.with("tokenizer.ggml.tokens", List.of("a", "b")),
                "tokenizer.ggml.tokens",
                "has 2",
                "16 rows");
        assertRefused(
                file -> file.with("tokenizer.ggml.scores", List.of(1f)), "tokenizer.ggml.scores", "expected 16 values");
        assertRefused(file -> file.with("tokenizer.ggml.bos_token_id", 16), "tokenizer.ggml.bos_token_id", "got 16");
    }

    @Test
    void refusesPartsThatDoNotBelongTogether() throws IOException {
        Path first = TinyGguf.llama().writeParts(folder, "parts", 2);
        Path second = folder.resolve("parts-00002-of-00002.gguf");
        assertThatThrownBy(() -> use(second)).hasMessageContaining("open the first part");
        Path moved = Files.copy(first, folder.resolve("other.gguf"));
        assertThatThrownBy(() -> use(moved)).hasMessageContaining("-00001-of-00002.gguf");
        Files.copy(first, second, StandardCopyOption.REPLACE_EXISTING);
        assertThatThrownBy(() -> use(first)).hasMessageContaining("split.no");
        Files.delete(second);
        assertThatThrownBy(() -> use(first)).hasMessageContainingAll("parts-00002-of-00002.gguf", "no such file");
    }

    @Test
    void damagedFilesAreRefusedOrRead() throws IOException {
        damage(50, 11);
    }

    @Test
    @Tag("slow")
    void twoThousandDamagedFilesAreRefusedOrRead() throws IOException {
        assertThat(damage(2000, 12)).as("refused").isGreaterThan(1000);
    }

    /** Writes files with one to four bytes, or a number, of another value, most of them in the header. */
    private int damage(int count, long seed) throws IOException {
        byte[] whole = TinyGguf.llama().bytes();
        int header = indexOf(whole, "blk.0.ffn_down.weight") + 64;
        SplittableRandom random = new SplittableRandom(seed);
        int refused = 0;
        for (int i = 0; i < count; i++) {
            byte[] bytes = whole.clone();
            int changes = 1 + random.nextInt(4);
            for (int change = 0; change < changes; change++) {
                int end = random.nextInt(5) == 0 ? whole.length : header;
                if (random.nextInt(3) == 0) {
                    bytes = with(bytes, random.nextInt(end - 8), random.nextLong() >>> random.nextInt(64));
                } else {
                    bytes[random.nextInt(end)] = (byte) random.nextInt(256);
                }
            }
            if (random.nextInt(10) == 0) {
                bytes = Arrays.copyOf(bytes, random.nextInt(whole.length));
            }
            Path file = Files.write(folder.resolve("damaged.gguf"), bytes);
            try {
                use(file);
            } catch (IOException | ConfigException e) {
                assertThat(e).hasMessageContaining("damaged.gguf");
                refused++;
            } catch (RuntimeException | Error e) {
                fail("file " + i + " of seed " + seed, e);
            }
        }
        return refused;
    }
}
