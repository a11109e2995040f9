package dev.ptq.artifact;

/**
 * The files and folders in a run's or sweep's directory. Only {@code manifest.json} and the contents of the cache are
 * named elsewhere: they belong to the stage engine, which knows nothing of experiments.
 */
public final class RunFiles {
    /**
     * Flat names to numbers and words: for a run, for a task, and for the measurements of {@link #QUANTIZE} and, where
     * steps rescale channels, of {@link #APPROXIMATE}.
     */
    public static final String METRICS = "metrics.json";
    /** The experiment with all defaults filled in. */
    public static final String RESOLVED = "resolved.toml";
    /** The experiment as it was given. */
    public static final String CONFIG = "config.toml";
    /** {@link LedgerColumn}: what went otherwise than the config may lead one to expect, in the run and its stages. */
    public static final String LEDGER = "ledger.csv";
    /** The folder of the files that {@link #CONFIG} extends, as they were given: {@code 1-NAME}, the next {@code 2-NAME}. */
    public static final String EXTENDED = "extended";
    /** The log. */
    public static final String LOG = "log.txt";

    /** The folder of a sweep for what was handed to a scheduler. */
    public static final String LAUNCH = "launch";

    /** The stage that learns how the model is rotated, and its folder. */
    public static final String ROTATE = "rotate";
    /** In it: the matrices. */
    public static final String ROTATIONS = "rotations.safetensors";
    /** In it: {@link RotationColumn}. */
    public static final String TRAINING = "training.csv";

    /** The stage that takes statistics, and its folder. */
    public static final String CALIBRATE = "calibrate";
    /** In it: the statistics. */
    public static final String STATISTICS = "statistics.safetensors";

    /** In it, of a mixture: {@link ExpertColumn}. */
    public static final String EXPERTS = "experts.csv";

    /** The stage that runs the methods, and its folder. */
    public static final String APPROXIMATE = "approximate";
    /** In it: the low-rank factors of all blocks. */
    public static final String LOW_RANK = "low_rank.safetensors";
    /** In it: the singular values of weight errors, if a step keeps them. */
    public static final String SINGULAR_VALUES = "singular_values.safetensors";
    /** In it, where the model is rotated or rescaled: {@link FoldColumn}. */
    public static final String FOLDS = "folds.csv";
    /** In it: the folder of tensors that replace the model's, one file per block. */
    public static final String WEIGHTS = "weights";
    /** In it, and where the last block was adapted: the folder of learned parameters, one file per block. */
    public static final String PARAMETERS = "parameters";

    /** The stage that writes and measures the quantized weights, and its folder. */
    public static final String QUANTIZE = "quantize";
    /** In it: the location of each quantized weight. */
    public static final String WEIGHT_INDEX = "weights.json";
    /** In it: {@link QuantizedColumn}; in {@link #APPROXIMATE} and for an adapted block {@link ApproximatedColumn}. */
    public static final String LAYERS = "layers.csv";

    /** The stages that evaluate, and their folder. */
    public static final String EVALUATE = "evaluate";
    /** In the folder of a text: metrics and conditions. */
    public static final String SCORES = "scores.json";
    /** In the folder of a text: {@link ChunkColumn}. */
    public static final String CHUNKS = "chunks.csv";
    /** In the folder of a text: {@link DivergenceColumn}. */
    public static final String DIVERGENCES = "divergences.csv";
    /** In the folder of a text: its losses with one norm changed by next to nothing. */
    public static final String PERTURBATIONS = "perturbations.csv";
    /** In the folder of a variant: the folder of the tasks, a name that no text can have. */
    public static final String TASKS = "tasks";
    /** Scores in the layout of the harness: of one task, and in {@link #EVALUATE} of all tasks. */
    public static final String RESULTS = "results.json";
    /** The same in the layout of its version 0.3. */
    public static final String HARNESS_RESULTS = "harness_results.json";

    /** In the directory of a sweep: the state of its points. */
    public static final String SWEEP = "sweep.json";
    /** In the directory of a sweep: the file as it was given. */
    public static final String SWEEP_FILE = "sweep.toml";

    /** The stage that counts what a token costs, and its folder; in it {@link #LAYERS}: {@link CostColumn}. */
    public static final String COST = "cost";

    /** The folder of what {@code [allocation]} says of the run; in it {@link #LAYERS}: {@link AllocationColumn}. */
    public static final String ALLOCATION = "allocation";

    /** The stage that scores how sensitive a model is to errors of each weight, and its folder. */
    public static final String SENSITIVITY = "sensitivity";
    /** The stage that rounds each weight alone, and its folder. */
    public static final String TRUTH = "truth";
    /** How scores of weights agree with {@link #TRUTH}. */
    public static final String CORRELATIONS = "correlations.csv";

    private static final String SAMPLES = "samples_";
    private static final String LINES = ".jsonl";

    private RunFiles() {}

    /** Returns the file of a block in a folder with one file per block. */
    public static String block(int index) {
        return "block-" + index + ".safetensors";
    }

    /** Returns the folder with a variant's results, which holds the folders of texts. */
    public static String variant(Variant variant) {
        return EVALUATE + "/" + variant.label();
    }

    /** Returns the folder of a text, which is also the name of its stage. */
    public static String text(Variant variant, String text) {
        return variant(variant) + "/" + text;
    }

    /** Returns the folder of a task or group, which is also the name of its stage. */
    public static String task(Variant variant, String task) {
        return variant(variant) + "/" + TASKS + "/" + task;
    }

    /** Returns the file with one line per document of a task. */
    public static String samples(String task) {
        return SAMPLES + task + LINES;
    }

    /** Returns the glob pattern of such files. */
    public static String samplesPattern() {
        return samples("*");
    }

    /** Returns the task of such a file. */
    public static String taskOfSamples(String file) {
        return file.substring(SAMPLES.length(), file.length() - LINES.length());
    }
}
