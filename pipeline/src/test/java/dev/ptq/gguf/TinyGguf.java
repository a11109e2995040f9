package dev.ptq.gguf;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** A llama of one block in all types, with a tokenizer, small enough to be damaged thousands of times. */
public final class TinyGguf {
    private static final int HIDDEN = 256;
    private static final int HEADS = 4;
    private static final int VOCABULARY = 16;

    private TinyGguf() {}

    /** The file before it is written. */
    public static GgufBuilder llama() {
        List<String> tokens = new ArrayList<>(List.of(
                "<unk>",
                "<s>",
                "</s>",
                "<0x0A>",
                "\u2581",
                "a",
                "b",
                "c",
                "\u2581a",
                "ab",
                "\u2581ab",
                "bc",
                "ca",
                "abc",
                "d",
                "e"));
        List<Float> scores = new ArrayList<>();
        List<Integer> types = new ArrayList<>();
        for (int i = 0; i < tokens.size(); i++) {
            scores.add((float) -i);
            types.add(i == 0 ? 2 : i < 3 ? 3 : i == 3 ? 6 : 1);
        }
        GgufBuilder file = new GgufBuilder()
                .with("general.architecture", "llama")
                .with("general.name", "tiny")
                .with("llama.block_count", 1)
                .with("llama.context_length", 64)
                .with("llama.embedding_length", HIDDEN)
                .with("llama.feed_forward_length", HIDDEN)
                .with("llama.attention.head_count", HEADS)
                .with("llama.attention.head_count_kv", 1)
                .with("llama.attention.layer_norm_rms_epsilon", 1e-5f)
                .with("llama.rope.freq_base", 10_000f)
                .with("llama.rope.dimension_count", HIDDEN / HEADS)
                .with("tokenizer.ggml.model", "llama")
                .with("tokenizer.ggml.pre", "default")
                .with("tokenizer.ggml.tokens", tokens)
                .with("tokenizer.ggml.scores", scores)
                .with("tokenizer.ggml.token_type", types)
                .with("tokenizer.ggml.bos_token_id", 1)
                .with("tokenizer.ggml.eos_token_id", 2)
                .with("tokenizer.ggml.unknown_token_id", 0)
                .with("tokenizer.ggml.add_bos_token", true);
        float[] ones = new float[HIDDEN];
        Arrays.fill(ones, 1f);
        SplittableRandom random = new SplittableRandom(3);
        return file.tensor(
                        "token_embd.weight",
                        GgufType.Q8_0,
                        blocks(GgufType.Q8_0, VOCABULARY, random),
                        VOCABULARY,
                        HIDDEN)
                .tensor("output.weight", GgufType.Q6_K, blocks(GgufType.Q6_K, VOCABULARY, random), VOCABULARY, HIDDEN)
                .tensor("output_norm.weight", ones, HIDDEN)
                .tensor("blk.0.attn_norm.weight", ones, HIDDEN)
                .tensor("blk.0.ffn_norm.weight", ones, HIDDEN)
                .tensor("blk.0.attn_q.weight", GgufType.Q4_K, blocks(GgufType.Q4_K, HIDDEN, random), HIDDEN, HIDDEN)
                .tensor("blk.0.attn_k.weight", GgufType.Q2_K, blocks(GgufType.Q2_K, 64, random), 64, HIDDEN)
                .tensor("blk.0.attn_v.weight", GgufType.Q3_K, blocks(GgufType.Q3_K, 64, random), 64, HIDDEN)
                .tensor(
                        "blk.0.attn_output.weight",
                        GgufType.Q5_K,
                        blocks(GgufType.Q5_K, HIDDEN, random),
                        HIDDEN,
                        HIDDEN)
                .tensor("blk.0.ffn_gate.weight", GgufType.Q4_0, blocks(GgufType.Q4_0, HIDDEN, random), HIDDEN, HIDDEN)
                .tensor("blk.0.ffn_up.weight", GgufType.MXFP4, blocks(GgufType.MXFP4, HIDDEN, random), HIDDEN, HIDDEN)
                .tensor("blk.0.ffn_down.weight", GgufType.Q5_1, blocks(GgufType.Q5_1, HIDDEN, random), HIDDEN, HIDDEN);
    }

    /** Rows of 256 values of random codes, with scales of about a hundredth. */
    public static byte[] blocks(GgufType type, int rows, SplittableRandom random) {
        byte[] bytes = new byte[(int) type.bytes(256L * rows)];
        random.nextBytes(bytes);
        int size = type.blockBytes();
        for (int block = 0; block < bytes.length / size; block++) {
            for (int half : halves(type)) {
                int scale = 0x2000 | random.nextInt(0x400);
                bytes[block * size + half] = (byte) scale;
                bytes[block * size + half + 1] = (byte) (scale >> 8);
            }
            if (type == GgufType.MXFP4) {
                bytes[block * size] = (byte) (118 + random.nextInt(4));
            }
        }
        return bytes;
    }

    /** Where the float16 scales of a block are. */
    private static List<Integer> halves(GgufType type) {
        return switch (type) {
            case Q4_0, Q5_0, Q8_0 -> List.of(0);
            case Q4_1, Q5_1, Q4_K, Q5_K -> List.of(0, 2);
            case Q2_K -> List.of(80, 82);
            case Q3_K -> List.of(108);
            case Q6_K -> List.of(208);
            default -> List.of();
        };
    }
}
