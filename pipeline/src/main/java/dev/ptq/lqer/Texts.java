package dev.ptq.lqer;

import java.util.Map;
import java.util.OptionalInt;

/**
 * Translates the texts of a file: {@code [profile]} is our {@code [calibration]}, the other table is for perplexity.
 */
final class Texts {
    static final String PLACE = "ptq places everything itself, on the CPU";

    /** Chunks in a batch, where a file does not say. */
    static final int BATCH_SIZE = 4;

    private static final Map<String, String> WITHOUT_COUNTERPART = Map.of(
            "num_workers", "texts are read by one thread",
            "device_map", PLACE,
            "max_memory", PLACE,
            "padding", "there is none, texts are cut into full chunks",
            "progress_bar", "shown on a terminal");

    private Texts() {}

    /** Writes {@code [calibration]}. */
    static void calibration(LqerTable profile, ExperimentText.Section section) {
        section.comment(profile, WITHOUT_COUNTERPART);
        section.comment(profile, "scale_dict", "statistics are a file of the run, calibrate/statistics.safetensors");
        section.comment(
                profile, "num_raw_samples", "chunks are taken from the start of the text, as many as num_samples says");
        precision(profile, section);
        if (!profile.text("scaling_mode").orElse("mean(abs())").equals("mean(abs())")) {
            section.warn(profile, "scaling_mode", "l2qer takes mean(abs())");
        }
        dataset(profile, "train", section);
        profile.whole("num_samples", 1)
                .ifPresent(samples -> section.set(
                        "num_samples", wholeBatches(profile, samples, profile.whole("batch_size", 1), section)));
        section.set("sample", "start");
        lengths(profile, BATCH_SIZE, section);
    }

    /** LQER uses as many whole batches as the samples fill. */
    private static int wholeBatches(
            LqerTable profile, int samples, OptionalInt batchSize, ExperimentText.Section section) {
        int batch = batchSize.orElse(BATCH_SIZE);
        if (samples < batch || samples % batch == 0) {
            return samples;
        }
        section.comment(profile, "num_samples", "LQER takes whole batches of " + batch);
        return samples / batch * batch;
    }

    /**
     * Writes {@code [[evaluation.perplexity]]}.
     *
     * @param batch chunks in a batch, if the file does not say
     */
    static void perplexity(LqerTable perplexity, int batch, ExperimentText.Section section) {
        section.comment(perplexity, WITHOUT_COUNTERPART);
        section.set("name", fileName(perplexity.text("dataset").orElse("text")));
        dataset(perplexity, "test", section);
        section.set("protocol", "lqer");
        lengths(perplexity, batch, section);
        perplexity.whole("num_samples", 1).ifPresent(samples -> section.set("max_samples", samples));
    }

    private static void lengths(LqerTable table, int batch, ExperimentText.Section section) {
        section.set("seq_len", table.whole("max_length", 2).orElse(2048));
        section.set("batch_size", table.whole("batch_size", 1).orElse(batch));
    }

    /** Comments on LQER's compute precision. */
    static void precision(LqerTable table, ExperimentText.Section section) {
        if (!table.text("dtype").orElse("float32").equals("float32")) {
            section.comment(table, "dtype", "ptq computes in float32");
        }
    }

    /** Translates LQER's dataset names into hub names; other hub names and files stay as they are. */
    private static void dataset(LqerTable table, String split, ExperimentText.Section section) {
        String name = table.text("dataset").orElse("");
        if (name.endsWith(".txt") || name.endsWith(".jsonl")) {
            section.set("dataset", name);
            return;
        }
        switch (name) {
            case "wikitext2" -> {
                section.set("dataset", "Salesforce/wikitext");
                section.set("config", "wikitext-2-raw-v1");
            }
            case "slim_pajama_6b" -> section.set("dataset", "DKYoon/SlimPajama-6B");
            case "" -> {
                section.warn(table, "dataset", "left out; supply a text");
                section.set("dataset", split + ".txt");
            }
            default -> {
                if (name.matches("[^/]+/[^/]+")) {
                    section.set("dataset", name);
                    return;
                }
                section.comment(
                        table,
                        "dataset",
                        "ptq has no such text; supply its " + split
                                + " split as this file, a JSON object with a \"text\" in each line");
                section.set("dataset", fileName(name) + "-" + split + ".jsonl");
            }
        }
    }

    /** Turns a name into one of letters, digits, - and _ only. */
    private static String fileName(String name) {
        String last = name.substring(name.lastIndexOf('/') + 1).replaceFirst("\\.(txt|jsonl)$", "");
        String plain = last.replaceAll("[^A-Za-z0-9_-]+", "-").replaceFirst("^[_-]+", "");
        return plain.isEmpty() ? "text" : plain;
    }
}
