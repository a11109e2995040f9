package dev.ptq.layout;

import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The layouts of compressed-tensors and llm-compressor. A description has groups of modules, each with the numbers of its
 * weights and inputs, and a format that says how codes lie.
 */
final class CompressedTensors implements Layout {
    private static final String SCALES = "weight_scale";
    private static final String ZEROS = "weight_zero_point";
    private static final String GLOBAL_SCALE = "weight_global_scale";
    private static final String E2M1 = "weight_packed";
    private static final String FORMAT = "format";
    private static final String STRATEGY = "strategy";
    private static final String LINEAR = "Linear";
    private static final String MIXED = "mixed-precision";
    static final String KEY_SCALE = "k_scale";
    static final String VALUE_SCALE = "v_scale";

    /** The last release that packed codes of odd bits a whole number to a word, and the first known one that did not. */
    private static final int LAST_WHOLE = 17;

    private static final int FIRST_DENSE = 19;

    /** Opens the tensors of a linear. */
    @FunctionalInterface
    private interface Opener {
        PackedLinear open(ModuleTensors tensors, Weights weights) throws IOException;
    }

    /** How codes lie, by the name of the format. */
    private static final Map<String, Opener> FORMATS = new TreeMap<>(Map.of(
            "pack-quantized", PackedIntegers::open,
            "int-quantized", CompressedTensors::integers,
            "naive-quantized", CompressedTensors::naive,
            "float-quantized", CompressedTensors::fp8,
            "nvfp4-pack-quantized", CompressedTensors::nvfp4,
            "mxfp4-pack-quantized", CompressedTensors::mxfp4,
            "mxfp8-quantized", CompressedTensors::mxfp8));

    @Override
    public Set<String> methods() {
        return Set.of("compressed-tensors");
    }

    @Override
    public Reader reader(QuantizationConfig config) throws IOException {
        config.expect("quantization_status", "compressed", "compressed");
        config.expectNone("transform_config");
        if (config.has("sparsity_config")
                && !config.json().path("sparsity_config").isEmpty()) {
            config.table("sparsity_config").expect(FORMAT, "dense", "dense");
        }
        List<Group> groups = new ArrayList<>();
        for (QuantizationConfig group : config.tables("config_groups")) {
            groups.add(Group.read(group, config));
        }
        Optional<QuantizationConfig> cache =
                config.has("kv_cache_scheme") ? Optional.of(config.table("kv_cache_scheme")) : Optional.empty();
        if (cache.isPresent()) {
            Activations.checkCache(cache.get());
        }
        return new GroupsReader(config, groups, config.texts("ignore"), cache);
    }

    /**
     * A group of modules.
     *
     * @param input absent if inputs are not rounded
     */
    private record Group(
            QuantizationConfig config,
            List<String> targets,
            Weights weights,
            String format,
            Optional<QuantizationConfig> input) {
        static Group read(QuantizationConfig group, QuantizationConfig whole) throws IOException {
            group.expectNone("output_activations");
            String format = group.text(FORMAT, whole.text(FORMAT, ""));
            if (!FORMATS.containsKey(format)) {
                QuantizationConfig at = group.has(FORMAT) ? group : whole;
                String more = format.equals(MIXED) ? " in each group" : "";
                throw at.wrong(FORMAT, "one of " + new TreeSet<>(FORMATS.keySet()) + more);
            }
            return new Group(
                    group,
                    group.texts("targets"),
                    Weights.read(group.table("weights"), format, whole),
                    format,
                    group.has("input_activations") ? Optional.of(group.table("input_activations")) : Optional.empty());
        }
    }

    /**
     * The numbers of a group's weights.
     *
     * @param strategy which values share a scale
     * @param groupSize columns that do, 0 with other strategies
     * @param block rows and columns that do, empty with other strategies
     * @param ordered whether columns may be in any group
     * @param format that says how codes lie
     */
    record Weights(
            QuantizationConfig config,
            int bits,
            boolean isFloat,
            String strategy,
            int groupSize,
            List<Integer> block,
            boolean symmetric,
            boolean ordered,
            String format,
            Optional<String> version) {
        static Weights read(QuantizationConfig config, String format, QuantizationConfig whole) throws IOException {
            config.expect("type", "int", "int", "float");
            config.expectNone("dynamic");
            config.expect("actorder", "weight", "weight", "static", "group", "dynamic");
            boolean isFloat = config.text("type", "int").equals("float");
            int bits = config.number("num_bits", 8);
            boolean isRead = isFloat ? (bits == 4 || bits == 8) : (bits >= 2 && bits <= 8);
            if (!isRead) {
                throw config.wrong("num_bits", isFloat ? "4 or 8 of type float" : "from 2 to 8");
            }
            int groupSize = config.number("group_size", 0);
            String strategy = config.text(STRATEGY, groupSize > 0 ? "group" : "tensor");
            boolean isGrouped = strategy.equals("group") || strategy.equals("tensor_group");
            config.expect(STRATEGY, "tensor", "tensor", "channel", "group", "tensor_group", "block");
            if (isGrouped) {
                groupSize = Activations.positive(config, "group_size");
            }
            boolean symmetric = config.flag("symmetric", true);
            if (isFloat && !symmetric) {
                throw config.wrong("symmetric", "true");
            }
            String order = config.text("actorder", "weight");
            return new Weights(
                    config,
                    bits,
                    isFloat,
                    strategy,
                    isGrouped ? groupSize : 0,
                    strategy.equals("block") ? config.pair("block_structure") : List.of(),
                    symmetric,
                    order.equals("group") || order.equals("dynamic"),
                    format,
                    whole.has("version") ? Optional.of(whole.text("version")) : Optional.empty());
        }

        String label() {
            String sharing = switch (strategy) {
                case "tensor" -> "one scale";
                case "channel" -> "channels";
                case "block" -> "blocks of " + block.get(0) + " x " + block.get(1);
                default -> "groups of " + groupSize;
            };
            return "compressed-tensors " + format + " " + (isFloat ? "float" : "int") + bits + ", " + sharing
                    + (symmetric ? "" : ", zero points");
        }

        /** Checks that weights are of the type and bits that their format has codes for. */
        void require(boolean floats, int... possible) throws IOException {
            boolean isPossible = possible.length == 0;
            for (int number : possible) {
                isPossible |= number == bits;
            }
            if (isFloat != floats || !isPossible) {
                throw config.wrong("type", (floats ? "float" : "int") + " for format " + format);
            }
        }

        void requireGroups(String kind, int size) throws IOException {
            if (!strategy.equals(kind) || groupSize != size) {
                throw config.wrong("group_size", size + " with strategy \"" + kind + "\" for format " + format);
            }
        }

        int columnsPerScale(int in) throws IOException {
            return switch (strategy) {
                case "channel" -> in;
                case "group" -> groupSize;
                default -> throw config.wrong(STRATEGY, "\"channel\" or \"group\" for format " + format);
            };
        }

        /** Returns whether the release that wrote the checkpoint let no code cross into the next word. */
        boolean isWholeWords() throws IOException {
            Matcher release = Pattern.compile("0\\.(\\d{1,4})\\..*").matcher(version.orElse("") + ".");
            if (release.matches()) {
                int minor = Integer.parseInt(release.group(1));
                if (minor <= LAST_WHOLE || minor >= FIRST_DENSE) {
                    return minor <= LAST_WHOLE;
                }
            } else if (version.isPresent() && version.get().matches("[1-9]\\d*\\..*")) {
                return false;
            }
            throw config.wrong(
                    "num_bits",
                    "bits that divide 32: weights of this size lie in two ways, and \"version\" does not say which");
        }

        /** Reads the scales of a matrix. */
        Scales scales(ModuleTensors tensors, int out, int in) throws IOException {
            return switch (strategy) {
                case "tensor" -> Scales.of(new float[] {tensors.scalar(SCALES)}, 1, out, in);
                case "channel" -> Scales.of(tensors.scales(SCALES, out, 1), 1, 1, in);
                case "block" -> BlockFp8.rectangles(tensors, SCALES, out, in, block.get(0), block.get(1));
                default -> {
                    int across = (in - 1) / groupSize + 1;
                    yield Scales.of(tensors.scales(SCALES, out, across), across, 1, groupSize);
                }
            };
        }
    }

    private static PackedLinear naive(ModuleTensors tensors, Weights weights) throws IOException {
        return weights.isFloat() ? fp8(tensors, weights) : integers(tensors, weights);
    }

    private static PackedLinear integers(ModuleTensors tensors, Weights weights) throws IOException {
        weights.require(false);
        return ByteCodes.open(weights.label(), tensors, StoredType.I8, weights.bits(), (out, in) -> {
            Scales scales = weights.scales(tensors, out, in);
            if (weights.symmetric()) {
                return scales;
            }
            long[] shape =
                    tensors.shape(SCALES).stream().mapToLong(Long::longValue).toArray();
            return scales.withSignedZeros(Tables.array(tensors.raw(ZEROS, StoredType.I8, shape)));
        });
    }

    private static PackedLinear fp8(ModuleTensors tensors, Weights weights) throws IOException {
        weights.require(true, 8);
        return ByteCodes.open(
                weights.label(), tensors, StoredType.F8_E4M3, 8, (out, in) -> weights.scales(tensors, out, in));
    }

    private static PackedLinear nvfp4(ModuleTensors tensors, Weights weights) throws IOException {
        weights.require(true, 4);
        weights.requireGroups("tensor_group", 16);
        int size = weights.groupSize();
        return E2m1Codes.open(weights.label(), tensors, E2M1, (out, in) -> {
            float[] scales = E2m1Codes.blockScales(tensors, SCALES, out, in, size);
            float global = tensors.scalar(GLOBAL_SCALE);
            for (int i = 0; i < scales.length; i++) {
                scales[i] /= global;
            }
            return Scales.of(scales, in / size, 1, size);
        });
    }

    private static PackedLinear mxfp4(ModuleTensors tensors, Weights weights) throws IOException {
        weights.require(true, 4);
        weights.requireGroups("group", 32);
        int size = weights.groupSize();
        return E2m1Codes.open(
                weights.label(),
                tensors,
                E2M1,
                (out, in) -> Scales.of(E2m1Codes.powersOfTwo(tensors, SCALES, out, in, size), in / size, 1, size));
    }

    private static PackedLinear mxfp8(ModuleTensors tensors, Weights weights) throws IOException {
        weights.require(true, 8);
        weights.requireGroups("group", 32);
        int size = weights.groupSize();
        return ByteCodes.open(
                weights.label(),
                tensors,
                StoredType.F8_E4M3,
                8,
                (out, in) -> Scales.of(E2m1Codes.powersOfTwo(tensors, SCALES, out, in, size), in / size, 1, size));
    }

    private record GroupsReader(
            QuantizationConfig config, List<Group> groups, List<String> ignored, Optional<QuantizationConfig> kvCache)
            implements Reader {
        @Override
        public Set<String> suffixes() {
            Set<String> suffixes = new TreeSet<>(Activations.SUFFIXES);
            suffixes.addAll(Set.of(ByteCodes.CODES, E2M1, SCALES, ZEROS, GLOBAL_SCALE, "weight_shape", "weight_g_idx"));
            return suffixes;
        }

        @Override
        public boolean packs(String module) throws IOException {
            return group(module).isPresent();
        }

        /** A module's own name decides before an expression, and this before the class of modules. */
        private Optional<Group> group(String module) throws IOException {
            for (String name : ignored) {
                if (ModuleNames.matches(config, "ignore", name, module)) {
                    return Optional.empty();
                }
            }
            List<Group> named = new ArrayList<>();
            List<Group> matching = new ArrayList<>();
            List<Group> ofClass = new ArrayList<>();
            for (Group group : groups) {
                for (String target : group.targets()) {
                    if (target.equals(module)) {
                        named.add(group);
                    } else if (ModuleNames.matches(group.config(), "targets", target, module)) {
                        matching.add(group);
                    } else if (target.equals(LINEAR)) {
                        ofClass.add(group);
                    }
                }
            }
            List<Group> found = named.isEmpty() ? matching.isEmpty() ? ofClass : matching : named;
            List<Group> distinct = found.stream().distinct().toList();
            if (distinct.size() > 1) {
                throw new IOException(distinct.get(0).config().place() + ".targets: " + module + " is also in "
                        + distinct.get(1).config().place() + "; only one of them can describe it");
            }
            return distinct.stream().findFirst();
        }

        @Override
        public PackedLinear open(ModuleTensors tensors) throws IOException {
            Group group = group(tensors.module()).orElseThrow();
            Opener opener = FORMATS.get(group.format());
            if (opener == null) {
                throw new IllegalStateException(group.format());
            }
            PackedLinear linear = opener.open(tensors, group.weights());
            return group.input().isEmpty()
                    ? linear
                    : linear.with(Optional.of(Activations.read(group.input().get(), tensors)));
        }

        @Override
        public Set<String> cacheSuffixes() {
            return kvCache.isPresent() ? Set.of(KEY_SCALE, VALUE_SCALE) : Set.of();
        }

        @Override
        public StoredActivations.Cache cache(ModuleTensors scales) throws IOException {
            QuantizationConfig scheme = kvCache.orElseThrow();
            return new StoredActivations.Cache(
                    Activations.ofCache(scheme, scales.scalar(KEY_SCALE)),
                    Activations.ofCache(scheme, scales.scalar(VALUE_SCALE)));
        }
    }
}
