package dev.ptq.layout;

import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/**
 * The layout of GPTQ, GPTQModel and, in the same packing, AutoRound. {@code qweight} has in every column the codes of an
 * output feature, {@code qzeros} in every row the zero points of a group; {@code scales [groups, outFeatures]}; {@code
 * g_idx} the group of each input feature. Version 1 stores zero points less 1, subtracted from whole words.
 */
final class Gptq implements Layout {
    private static final String CODES = "qweight";
    private static final String ZEROS = "qzeros";
    private static final String SCALES = "scales";
    private static final String GROUPS = "g_idx";
    private static final Set<Integer> BITS = new TreeSet<>(Set.of(2, 3, 4, 8));
    /** AutoRound's word for modules that it leaves alone. */
    private static final int UNPACKED_BITS = 16;

    private static final String V2 = "gptq_v2";

    @Override
    public Set<String> methods() {
        return Set.of("gptq", "auto-round");
    }

    /** The settings of a linear. */
    private record Settings(int bits, int groupSize, boolean ordered, boolean symmetric, boolean shifted) {
        private String label() {
            return "GPTQ int" + bits + (groupSize > 0 ? ", groups of " + groupSize : ", channels")
                    + (symmetric ? "" : ", zero points");
        }
    }

    /** A rule of {@code dynamic}: modules it leaves alone, or settings it changes. */
    private record Rule(Pattern modules, boolean leavesAlone, QuantizationConfig changes) {}

    @Override
    public Reader reader(QuantizationConfig config) throws IOException {
        boolean isRound = config.method().equals("auto-round");
        boolean isShifted =
                !config.text("checkpoint_format", config.text("format", "gptq")).equals(V2);
        if (isRound) {
            // other packings of AutoRound store zero points as they are
            config.expect("packing_format", "", "auto_round:auto_gptq");
            config.expect("data_type", "int", "int");
            isShifted = true;
        } else {
            config.expect("checkpoint_format", "gptq", "gptq", V2);
            config.expect("format", "gptq", "gptq", V2);
            config.expect("method", "gptq", "gptq");
        }
        config.expect("pack_dtype", "int32", "int32");
        config.expectNone("is_marlin_format");
        config.expectNone("act_bits");
        Settings all = settings(
                config, new Settings(config.number("bits"), config.number("group_size"), false, true, isShifted));
        List<Rule> rules = new ArrayList<>();
        if (config.has("dynamic")) {
            QuantizationConfig dynamic = config.table("dynamic");
            for (Map.Entry<String, JsonNode> rule : dynamic.json().properties()) {
                String written = rule.getKey();
                boolean isSigned = written.startsWith("-:") || written.startsWith("+:");
                rules.add(new Rule(
                        dynamic.pattern(written, isSigned ? written.substring(2) : written),
                        written.startsWith("-:"),
                        dynamic.table(written)));
            }
        }
        if (isRound && config.has("extra_config")) {
            for (QuantizationConfig module : config.tables("extra_config")) {
                String name = module.place()
                        .substring(module.place().lastIndexOf("extra_config.") + "extra_config.".length());
                Pattern pattern = config.pattern("extra_config", "(?:" + name + ")$");
                rules.add(new Rule(pattern, module.number("bits", 0) >= UNPACKED_BITS, module));
            }
        }
        List<String> only = new ArrayList<>();
        if (config.has("modules_in_block_to_quantize")) {
            config.json().path("modules_in_block_to_quantize").forEach(group -> {
                if (group.isString()) {
                    only.add(group.asString());
                }
                group.forEach(name -> only.add(name.asString("")));
            });
        }
        return new GptqReader(all, rules, only);
    }

    private static Settings settings(QuantizationConfig config, Settings preset) throws IOException {
        Settings found = new Settings(
                config.number("bits", preset.bits()),
                config.number("group_size", preset.groupSize()),
                config.flag("desc_act", preset.ordered()),
                config.flag("sym", preset.symmetric()),
                preset.shifted());
        if (!BITS.contains(found.bits())) {
            throw config.wrong("bits", "one of " + BITS);
        }
        if (found.groupSize() == 0 || found.groupSize() < -1) {
            throw config.wrong("group_size", "-1, or at least 1");
        }
        return found;
    }

    private record GptqReader(Settings all, List<Rule> rules, List<String> only) implements Reader {
        @Override
        public Set<String> suffixes() {
            return Set.of(CODES, ZEROS, SCALES, GROUPS);
        }

        @Override
        public boolean packs(String module) {
            for (Rule rule : rules) {
                if (rule.modules().matcher(module).lookingAt()) {
                    return !rule.leavesAlone();
                }
            }
            return only.isEmpty() || ModuleNames.contains(only, module);
        }

        private Settings settings(String module) throws IOException {
            for (Rule rule : rules) {
                if (rule.modules().matcher(module).lookingAt()) {
                    return Gptq.settings(rule.changes(), all);
                }
            }
            return all;
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            Settings settings = settings(tensors.module());
            Words words = Words.dense(settings.bits());
            int out = tensors.side(CODES, 1);
            int groupsFound = tensors.side(SCALES, 0);
            int in = inFeatures(tensors, settings);
            int size = settings.groupSize() == -1 ? in : settings.groupSize();
            int groups = (in + size - 1) / size;
            tensors.require(CODES, StoredType.I32, words.count(in), out);
            if (groupsFound != groups) {
                throw tensors.wrong(
                        SCALES,
                        "expected " + groups + " groups of " + size + " for " + in + " input features",
                        groupsFound);
            }
            tensors.require(ZEROS, StoredType.I32, groups, words.count(out));
            Matrix matrix = new Matrix(tensors, settings, out, in, size, groups);
            matrix.scales();
            return new PackedLinear(settings.label(), settings.bits(), out, in, matrix::read);
        }

        /** Words hold 32 values each 1 to 8 of them: the number of values is not that of words, but g_idx has it. */
        private static int inFeatures(ModuleTensors tensors, Settings settings) throws IOException {
            int rows = tensors.side(CODES, 0);
            long most = 32L * rows / settings.bits();
            if (!tensors.has(GROUPS)) {
                if (settings.ordered()) {
                    throw new IOException(tensors.name(GROUPS)
                            + ": there is no such tensor, but the config has desc_act = true, with which only it says to"
                            + " which group an input feature belongs");
                }
                return Math.toIntExact(most);
            }
            List<Long> shape = tensors.shape(GROUPS);
            if (shape.size() != 1 || shape.get(0) < 1 || shape.get(0) > most) {
                throw tensors.wrong(GROUPS, "expected I32 [" + most + "]", shape);
            }
            return Math.toIntExact(shape.get(0));
        }
    }

    /** A packed matrix whose shapes have been checked. */
    private record Matrix(ModuleTensors tensors, Settings settings, int out, int in, int groupSize, int groups) {
        CodedMatrix read(int from, int to) throws IOException {
            Words words = Words.dense(settings.bits());
            ByteBuffer packed = tensors.raw(CODES, StoredType.I32, words.count(in), out);
            byte[] codes = words.unpack(packed, Words.Lines.columns(from, to - from, out, in));
            return new CodedMatrix(from, to - from, in, codes, CodedMatrix.wholeNumbers(settings.bits()), scales());
        }

        Scales scales() throws IOException {
            float[] stored = tensors.floats(SCALES, groups, out);
            byte[] zeros = zeroPoints(
                    settings.bits(),
                    settings.shifted(),
                    tensors.raw(
                            ZEROS,
                            StoredType.I32,
                            groups,
                            Words.dense(settings.bits()).count(out)),
                    groups,
                    out);
            if (settings.symmetric()) {
                int middle = 1 << (settings.bits() - 1);
                for (byte zero : zeros) {
                    if ((zero & 0xff) != middle) {
                        throw new IOException(tensors.name(ZEROS) + ": has a zero point " + (zero & 0xff)
                                + ", but the config has sym = true, with which all are " + middle
                                + "; the file is damaged, or its checkpoint_format is another");
                    }
                }
            }
            float[] scales = new float[stored.length];
            byte[] turned = new byte[zeros.length];
            for (int group = 0; group < groups; group++) {
                for (int row = 0; row < out; row++) {
                    scales[row * groups + group] = stored[group * out + row];
                    turned[row * groups + group] = zeros[group * out + row];
                }
            }
            return Scales.of(scales, groups, 1, groupSize).withZeros(turned).withGroups(groupOfColumn());
        }

        private int[] groupOfColumn() throws IOException {
            return tensors.has(GROUPS) ? Groups.read(tensors, GROUPS, in, groupSize, settings.ordered()) : new int[0];
        }
    }

    /**
     * Returns zero points, {@code [groups, outFeatures]}.
     *
     * @param shifted whether 1 was subtracted, as in version 1
     */
    static byte[] zeroPoints(int bits, boolean shifted, ByteBuffer packed, int groups, int out) {
        Words words = Words.dense(bits);
        ByteBuffer exact = packed;
        boolean crosses = 32 % bits != 0;
        if (shifted && !crosses) {
            exact = added(packed, ones(bits));
        }
        byte[] zeros = words.unpack(exact, Words.Lines.rows(words, groups, out));
        if (shifted && crosses) {
            for (int i = 0; i < zeros.length; i++) {
                zeros[i] = (byte) ((zeros[i] + 1) & ((1 << bits) - 1));
            }
        }
        return zeros;
    }

    /** Returns the stored words of zero points {@code [groups, outFeatures]}. */
    static ByteBuffer packZeroPoints(int bits, boolean shifted, byte[] zeros, int groups, int out) {
        Words words = Words.dense(bits);
        boolean crosses = 32 % bits != 0;
        byte[] stored = zeros.clone();
        for (int i = 0; i < stored.length && shifted && crosses; i++) {
            stored[i] = (byte) ((stored[i] - 1) & ((1 << bits) - 1));
        }
        ByteBuffer packed = words.pack(stored, Words.Lines.rows(words, groups, out), groups * words.count(out));
        return (shifted && !crosses) ? added(packed, -ones(bits)) : packed;
    }

    /** Returns the word that has 1 in each of its codes. */
    private static int ones(int bits) {
        int ones = 0;
        for (int shift = 0; shift < 32; shift += bits) {
            ones |= 1 << shift;
        }
        return ones;
    }

    private static ByteBuffer added(ByteBuffer words, int number) {
        ByteBuffer sums = ByteBuffer.allocate(words.remaining()).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < words.remaining(); i += 4) {
            sums.putInt(i, words.getInt(i) + number);
        }
        return sums;
    }
}
