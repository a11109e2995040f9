package dev.ptq.artifact;

/**
 * The files and folders in the directory of a run, and those of a sweep. Only {@code manifest.json} and what is in the
 * cache have their names elsewhere: they belong to the engine that runs stages, which knows no experiments.
 */
public final class RunFiles {
    /** Flat names to numbers and words; of a run, of what {@link #QUANTIZE} measures, and of a task. */
    public static final String METRICS = "metrics.json";
    /** The experiment with all defaults. */
    public static final String RESOLVED = "resolved.toml";
    /** The experiment as it was given. */
    public static final String CONFIG = "config.toml";
    /** What was logged. */
    public static final String LOG = "log.txt";

    /** The stage that takes statistics, and its folder. */
    public static final String CALIBRATE = "calibrate";
    /** In it: the statistics. */
    public static final String STATISTICS = "statistics.safetensors";

    /** The stage that runs the methods, and its folder. */
    public static final String APPROXIMATE = "approximate";
    /** In it: the low-rank factors of all blocks. */
    public static final String LOW_RANK = "low_rank.safetensors";
    /** In it: the singular values of weight errors, where a step keeps them. */
    public static final String SINGULAR_VALUES = "singular_values.safetensors";
    /** In it: the folder of tensors that replace the model's, a file per block. */
    public static final String WEIGHTS = "weights";
    /** In it, and where the last block was adapted: the folder of what was learned, a file per block. */
    public static final String PARAMETERS = "parameters";

    /** The stage that makes and measures the quantized weights, and its folder. */
    public static final String QUANTIZE = "quantize";
    /** In it: where each quantized weight is. */
    public static final String WEIGHT_INDEX = "weights.json";
    /** In it: {@link QuantizedColumn}. In {@link #APPROXIMATE}, and where a block was adapted: {@link ApproximatedColumn}. */
    public static final String LAYERS = "layers.csv";

    /** The stages that evaluate, and their folder. */
    public static final String EVALUATE = "evaluate";
    /** In the folder of a text: metrics and conditions. */
    public static final String SCORES = "scores.json";
    /** In the folder of a text: {@link ChunkColumn}. */
    public static final String CHUNKS = "chunks.csv";
    /** In the folder of a text: {@link DivergenceColumn}. */
    public static final String DIVERGENCES = "divergences.csv";
    /** In the folder of a variant: that of the tasks, which no text can be called. */
    public static final String TASKS = "tasks";
    /** Scores in the layout of the harness; of a task, and in {@link #EVALUATE} of all of them. */
    public static final String RESULTS = "results.json";
    /** The same in the layout of its version 0.3. */
    public static final String HARNESS_RESULTS = "harness_results.json";

    /** In the directory of a sweep: what became of the points. */
    public static final String SWEEP = "sweep.json";
    /** In the directory of a sweep: the file as it was given. */
    public static final String SWEEP_FILE = "sweep.toml";

    private static final String SAMPLES = "samples_";
    private static final String LINES = ".jsonl";

    private RunFiles() {}

    /** The file of a block in a folder with one for each. */
    public static String block(int index) {
        return "block-" + index + ".safetensors";
    }

    /** The folder with what a variant of the model came to, and the folders of texts in it. */
    public static String variant(Variant variant) {
        return EVALUATE + "/" + variant.label();
    }

    /** The folder of a text, and the name of the stage that makes it. */
    public static String text(Variant variant, String text) {
        return variant(variant) + "/" + text;
    }

    /** The folder of a task or group, and the name of the stage that makes it. */
    public static String task(Variant variant, String task) {
        return variant(variant) + "/" + TASKS + "/" + task;
    }

    /** The file with a line for each document of a task. */
    public static String samples(String task) {
        return SAMPLES + task + LINES;
    }

    /** What such files match in a folder. */
    public static String samplesPattern() {
        return samples("*");
    }

    /** The task of such a file. */
    public static String taskOfSamples(String file) {
        return file.substring(SAMPLES.length(), file.length() - LINES.length());
    }
}
