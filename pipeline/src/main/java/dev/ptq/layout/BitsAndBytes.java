package dev.ptq.layout;

import dev.ptq.format.LlmInt8Format;
import dev.ptq.format.NormalFloatFormat;
import dev.ptq.format.NumberFormat;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The layout of bitsandbytes: NF4 of the flattened weight, with block scales in float32 or in 8 bits; or LLM.int8, rows of
 * signed bytes.
 */
final class BitsAndBytes implements Layout {
    private static final String CODES = "weight";
    private static final String STATE = "weight.quant_state.bitsandbytes__nf4";
    private static final String STATE_OF_FP4 = "weight.quant_state.bitsandbytes__fp4";
    private static final String TABLE = "weight.quant_map";
    private static final String SCALES = "weight.absmax";
    private static final String NESTED_TABLE = "weight.nested_quant_map";
    private static final String NESTED_SCALES = "weight.nested_absmax";
    private static final String ROW_SCALES = "SCB";
    private static final String ROW_FORMAT = "weight_format";
    private static final int HIGHEST = 127;

    @Override
    public Set<String> methods() {
        return Set.of("bitsandbytes");
    }

    @Override
    public Reader reader(QuantizationConfig config) throws IOException {
        List<String> skipped = config.texts("llm_int8_skip_modules");
        if (config.flag("load_in_8bit", false)) {
            config.expectNone("load_in_4bit");
            config.expectNone("llm_int8_has_fp16_weight");
            return new Int8Reader(skipped, config.decimal("llm_int8_threshold", 6.0));
        }
        if (!config.flag("load_in_4bit", false)) {
            throw config.wrong("load_in_4bit", "true, or true for load_in_8bit");
        }
        config.expect("bnb_4bit_quant_type", "fp4", "nf4");
        config.expect("bnb_4bit_quant_storage", "uint8", "uint8");
        return new Nf4Reader(skipped, config.flag("bnb_4bit_use_double_quant", false));
    }

    /** LLM.int8. */
    private record Int8Reader(List<String> skipped, double threshold) implements Reader {
        @Override
        public Set<String> suffixes() {
            return Set.of(CODES, ROW_SCALES, ROW_FORMAT);
        }

        @Override
        public boolean packs(String module) {
            return !ModuleNames.contains(skipped, module);
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            int out = tensors.side(CODES, 0);
            int in = tensors.side(CODES, 1);
            tensors.require(CODES, StoredType.I8, out, in);
            if (tensors.has(ROW_FORMAT)) {
                int format = tensors.raw(ROW_FORMAT, StoredType.U8).get(0);
                if (format != 0) {
                    throw tensors.wrong(ROW_FORMAT, "expected 0, rows as they are", format);
                }
            }
            tensors.scales(ROW_SCALES, out);
            // a threshold of 0 searches for no outliers
            double least = threshold == 0 ? Double.POSITIVE_INFINITY : threshold;
            NumberFormat input =
                    new LlmInt8Format(8, least, LlmInt8Format.Per.BATCH, Optional.of(LlmInt8Format.Rule.BITSANDBYTES));
            return new PackedLinear("bitsandbytes LLM.int8", Byte.SIZE, out, in, Optional.of(input), (from, to) -> {
                float[] scales = tensors.scales(ROW_SCALES, out);
                for (int row = 0; row < out; row++) {
                    scales[row] /= HIGHEST;
                }
                float[] table = CodedMatrix.signedBytes();
                table[Byte.MIN_VALUE & 0xff] = Float.NaN;
                byte[] codes = Tables.array(tensors.rows(CODES, from, to));
                return new CodedMatrix(from, to - from, in, codes, table, Scales.of(scales, 1, 1, in));
            });
        }
    }

    /** NF4. */
    private record Nf4Reader(List<String> skipped, boolean isDouble) implements Reader {
        @Override
        public Set<String> suffixes() {
            return Set.of(CODES, STATE, STATE_OF_FP4, TABLE, SCALES, NESTED_TABLE, NESTED_SCALES);
        }

        @Override
        public boolean packs(String module) {
            return !ModuleNames.contains(skipped, module);
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            State state = State.read(tensors);
            if (state.isDouble() != isDouble) {
                throw new IOException(tensors.name(STATE) + ": its block scales are "
                        + (state.isDouble() ? "quantized" : "not quantized")
                        + ", but the config has bnb_4bit_use_double_quant = " + isDouble);
            }
            tensors.require(CODES, StoredType.U8, (state.size() + 1) / 2, 1);
            Matrix matrix = new Matrix(tensors, state);
            matrix.table();
            matrix.scales();
            String label = "bitsandbytes NF4, blocks of " + state.blockSize()
                    + (isDouble ? ", scales of " + state.nestedBlockSize() : "");
            return new PackedLinear(label, 4, state.out(), state.in(), matrix::read);
        }
    }

    /**
     * The stored description of a packed weight.
     *
     * @param nestedBlockSize block scales that share a scale; 0 if they are in float32
     * @param nestedOffset that was taken from all block scales
     */
    private record State(int out, int in, int blockSize, int nestedBlockSize, float nestedOffset) {
        private static final int MOST_BYTES = 1 << 16;

        static State read(ModuleTensors tensors) throws IOException {
            List<Long> shape = tensors.shape(STATE);
            if (shape.size() != 1 || shape.get(0) > MOST_BYTES) {
                throw tensors.wrong(STATE, "expected the bytes of a text", shape);
            }
            byte[] text = Tables.array(tensors.raw(STATE, StoredType.U8, shape.get(0)));
            JsonNode json;
            try {
                json = JsonMapper.shared().readTree(new String(text, StandardCharsets.UTF_8));
            } catch (JacksonException e) {
                throw new IOException(tensors.name(STATE) + ": not valid JSON: " + e.getOriginalMessage(), e);
            }
            QuantizationConfig config = new QuantizationConfig(tensors.name(STATE), json);
            config.expect("quant_type", "nf4", "nf4");
            List<Integer> sides = config.pair("shape");
            if ((long) sides.get(0) * sides.get(1) > Integer.MAX_VALUE - 1024) {
                throw config.wrong("shape", "fewer than 2^31 values");
            }
            boolean nested = config.has("nested_blocksize");
            State state = new State(
                    sides.get(0),
                    sides.get(1),
                    config.number("blocksize"),
                    nested ? config.number("nested_blocksize") : 0,
                    (float) config.decimal("nested_offset", 0));
            if (state.blockSize() < 1 || state.blockSize() > 1 << 16 || state.blockSize() % 2 != 0) {
                throw config.wrong("blocksize", "an even number from 2 to " + (1 << 16));
            }
            if (nested && state.nestedBlockSize() < 1) {
                throw config.wrong("nested_blocksize", "at least 1");
            }
            if (!Float.isFinite(state.nestedOffset()) || state.isDouble() != config.has("nested_offset")) {
                throw config.wrong("nested_offset", state.isDouble() ? "a number" : "none without nested_blocksize");
            }
            return state;
        }

        boolean isDouble() {
            return nestedBlockSize > 0;
        }

        int size() {
            return out * in;
        }

        int blocks() {
            return (size() - 1) / blockSize + 1;
        }
    }

    /** A packed matrix whose shapes have been checked. */
    private record Matrix(ModuleTensors tensors, State state) {
        /** Blocks run on over the ends of rows, so that some rows are read from the blocks that they are in. */
        CodedMatrix read(int from, int to) throws IOException {
            int first = from * state.in();
            int size = (to - from) * state.in();
            int start = first / 2 * 2;
            byte[] all = Nibbles.HIGH_FIRST.unpack(tensors.rows(CODES, start / 2, (first + size + 1) / 2));
            byte[] codes = new byte[size];
            System.arraycopy(all, first - start, codes, 0, size);
            return new CodedMatrix(from, to - from, state.in(), codes, table(), scales());
        }

        float[] table() throws IOException {
            float[] table = tensors.floats(TABLE, 16);
            if (!Arrays.equals(table, NormalFloatFormat.nf4())) {
                throw new IOException(tensors.name(TABLE) + ": expected the 16 numbers of NF4; the file is damaged");
            }
            return table;
        }

        Scales scales() throws IOException {
            int blocks = state.blocks();
            if (!state.isDouble()) {
                return Scales.flat(tensors.scales(SCALES, blocks), state.blockSize());
            }
            ByteBuffer codes = tensors.raw(SCALES, StoredType.U8, blocks);
            float[] table = tensors.floats(NESTED_TABLE, 256);
            float[] nested = tensors.scales(NESTED_SCALES, (blocks - 1) / state.nestedBlockSize() + 1);
            float[] scales = new float[blocks];
            for (int block = 0; block < blocks; block++) {
                scales[block] =
                        table[codes.get(block) & 0xff] * nested[block / state.nestedBlockSize()] + state.nestedOffset();
            }
            return Scales.flat(scales, state.blockSize());
        }
    }
}
