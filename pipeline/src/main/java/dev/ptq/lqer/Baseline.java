package dev.ptq.lqer;

import dev.ptq.config.Spelling;
import dev.ptq.config.TomlWriter;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * What LQER compares itself with: a model as {@code evaluate.hf_quant_method} says that transformers loads it. Checkpoints
 * that are packed already need their path alone; others are rounded as bitsandbytes does it while it loads them.
 */
enum Baseline {
    /** The model itself. */
    FP32("the model as it is") {
        @Override
        String precision() {
            return "LQER measures it in float32, and so does ptq";
        }
    },
    /** The model itself, computed in half precision. */
    FP16("the model as it is"),
    /** Packed by GPTQ. */
    GPTQ("a packed checkpoint, whose config.json says how"),
    /** The same, read by the library that packed it. */
    AUTOGPTQ(GPTQ.meaning),
    /** Packed by AWQ. */
    AWQ(GPTQ.meaning),
    /** LLM.int8(): rows of integers, and features with outliers left as they are. */
    LLM_INT8("bitsandbytes rounds weights while it loads them; " + Baseline.PACKED_ALREADY) {
        @Override
        void formats(LqerTable evaluate, ExperimentText.Section section) {
            section.set("weight", format("int", "bits", 8, "granularity", "channel", "symmetric", true));
            section.set("activation", format("llm_int8", "bits", 8, "threshold", 6.0, "per", "batch"));
        }
    },
    /** The library's format of 4 bits. */
    LLM_INT4("bitsandbytes rounds weights while it loads them; " + Baseline.PACKED_ALREADY) {
        @Override
        void formats(LqerTable evaluate, ExperimentText.Section section) {
            section.warn(
                    evaluate,
                    METHOD,
                    "LQER's code takes bitsandbytes' FP4 in blocks of 64, which ptq does not have; its NF4 stands here,"
                            + " with errors that are mostly smaller");
            section.set("weight", format("nf4", "block_size", 64));
        }
    };

    /** Chunks in a batch, where a file does not say. */
    static final int BATCH_SIZE = 2;

    private static final String METHOD = "hf_quant_method";
    private static final String PACKED_ALREADY = "for a model that is packed already, remove [quantization]";
    private static final String NOT_READ = "LQER's code reads no such section for a baseline";
    private static final List<String> SECTIONS = List.of("profile", "approximate", "q_config", "l_config");

    private final String meaning;

    Baseline(String meaning) {
        this.meaning = meaning;
    }

    /** Returns what a file is about, if it has {@code evaluate.evaluate_baseline = true}. */
    static Optional<Baseline> read(LqerTable root) {
        Optional<LqerTable> evaluate = root.table("evaluate");
        boolean isBaseline =
                evaluate.flatMap(table -> table.flag("evaluate_baseline")).orElse(false);
        return isBaseline ? Optional.of(read(evaluate.orElseThrow(), METHOD)) : Optional.empty();
    }

    private static Baseline read(LqerTable evaluate, String key) {
        List<String> names = Arrays.stream(values()).map(Baseline::theirs).toList();
        Optional<String> name = evaluate.text(key);
        Optional<Baseline> found = Arrays.stream(values())
                .filter(baseline -> name.equals(Optional.of(baseline.theirs())))
                .findFirst();
        if (found.isEmpty() && (name.isPresent() || !evaluate.has(key))) {
            evaluate.problem(
                    key,
                    "expected one of " + names + ", "
                            + name.map(text -> "got " + TomlWriter.inline(text)
                                            + Spelling.hint(Spelling.closest(text, names)))
                                    .orElse("but it is missing"));
        }
        return found.orElse(FP32);
    }

    private String theirs() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Writes {@code [quantization]}, where the model's own files do not say everything. */
    void write(LqerTable root, ExperimentText.Section section) {
        LqerTable evaluate = root.table("evaluate").orElseThrow();
        section.comment(evaluate, "evaluate_baseline", "there is nothing to approximate");
        section.comment(evaluate, METHOD, meaning);
        section.comment(evaluate, "device_map", Texts.PLACE);
        formats(evaluate, section);
        SECTIONS.forEach(key -> section.comment(root, key, NOT_READ));
    }

    /** Writes the formats in which LQER's code loads the model. */
    void formats(LqerTable evaluate, ExperimentText.Section section) {}

    /** A comment on what arithmetic means for the result. */
    String precision() {
        return "LQER measures it in half precision, ptq in float32";
    }

    /** A comment on what else may be measured. */
    String others() {
        return "\"full_precision\" may stand here, for a packed checkpoint its unpacked weights";
    }

    private static Map<String, Object> format(String name, Object... settings) {
        Map<String, Object> format = new LinkedHashMap<>();
        format.put("format", name);
        for (int i = 0; i < settings.length; i += 2) {
            format.put((String) settings[i], settings[i + 1]);
        }
        return format;
    }
}
