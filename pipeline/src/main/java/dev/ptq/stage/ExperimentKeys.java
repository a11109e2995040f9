package dev.ptq.stage;

import dev.ptq.calibrate.CalibrationSettings;
import dev.ptq.config.Choices;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Section;
import dev.ptq.data.Tokenizer;
import dev.ptq.method.Methods;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.stage.Experiment.Memory;
import dev.ptq.weights.ModelFolder;
import java.util.List;
import java.util.Optional;

/** The keys of an experiment file. */
public final class ExperimentKeys {
    static final Key<Optional<String>> EXTENDS = Key.text(ConfigFiles.EXTENDS)
            .optional("")
            .says("another such file: what this one does not say is as there. Tables are merged; all else, lists too,"
                    + " replaces what is there");

    static final Key<Long> SEED = Key.longInteger("seed").from(0L).preset(0L).says("seed for everything random");

    /** The model's place, in {@link #MODEL}. */
    public static final Key<String> PATH = Key.pathOr("path", ModelFolder.shipped()::containsKey)
            .says("`\"reference\"`, the model that comes with the program (a folder of that name is"
                    + " `\"./reference\"`); or a Hugging Face model folder with `config.json`, `model.safetensors`"
                    + " or shards and their index (float32, float16 or bfloat16, or"
                    + " [packed](#packed-checkpoints)), and `tokenizer.json`; or a [GGUF file](#gguf-files),"
                    + " `.gguf`; or such a folder [on the hub](#the-hugging-face-hub), `\"owner/name\"`. `ptq list"
                    + " models` lists the families");

    /** One of several files of a model. */
    public static final Key<String> FILE = Key.text("file")
            .preset("")
            .says("which GGUF file of a folder, or of the hub, that has several; of a split one, its first part");

    static final Key<String> TOKENIZER = Key.path("tokenizer")
            .preset("")
            .says("another tokenizer than the model's own: a folder with `tokenizer.json`, such a file, or a GGUF"
                    + " file");

    static final Key<Memory> MEMORY = Key.choice(
                    "memory",
                    Choices.of("auto", Memory.AUTO, "in memory if they take at most a quarter of the machine's")
                            .and("resident", Memory.RESIDENT, "always in memory")
                            .and("streamed", Memory.STREAMED, "read again in every pass"))
            .preset(Memory.AUTO)
            .says("where blocks are kept between passes; results are the same");

    static final Key<Tokenizer.AddBos> ADD_BOS = Key.choice(
                    "add_bos",
                    Choices.of(
                                    "auto",
                                    Tokenizer.AddBos.AUTO,
                                    "as the template in `tokenizer.json` has it; where there is none, as"
                                            + " `add_bos_token` in `tokenizer_config.json` says")
                            .and("true", Tokenizer.AddBos.TRUE, "always")
                            .and("false", Tokenizer.AddBos.FALSE, "never"))
            .preset(Tokenizer.AddBos.AUTO)
            .says("whether a text begins with the tokenizer's start token");

    static final Key<Boolean> REQUANTIZE = Key.flag("requantize")
            .preset(false)
            .says("whether weights that the checkpoint has packed may be rounded again, by a format or by steps");

    static final Key<Boolean> STRICT = Key.flag("strict")
            .preset(false)
            .says("whether every row of [`ledger.csv`](../results/README.md#the-ledger) is an error: something odd"
                    + " about the model, a weight that a method left to plain rounding, a block that training left"
                    + " worse, ...");

    /** {@code [model]}. */
    public static final Key<ConfigTable> MODEL = Key.table(
                    "model", Section.of("model", PATH, FILE, TOKENIZER, MEMORY, ADD_BOS, REQUANTIZE))
            .says("the model");

    /** {@code [calibration]}. */
    public static final Key<Optional<ConfigTable>> CALIBRATION = Key.table("calibration", CalibrationSettings.SECTION)
            .optional("no text")
            .says("text for statistics and for training; most methods need it");

    static final Key<List<ConfigTable>> APPROXIMATION =
            Key.tables("approximation", Methods.SECTION).says("steps, in order; none is plain round to nearest");

    static final Key<Optional<ConfigTable>> QUANTIZATION = Key.table("quantization", QuantizationSettings.SECTION)
            .optional("float32")
            .says("the emulated number formats");

    /** {@code [evaluation]}. */
    public static final Key<Optional<ConfigTable>> EVALUATION = Key.table("evaluation", EvaluationSettings.SECTION)
            .optional("nothing")
            .says("what is measured");

    static final Key<Optional<ConfigTable>> ALLOCATION = Key.table("allocation", AllocationNotes.SECTION)
            .optional("nothing")
            .says("where the formats and ranks of linears come from, written by `ptq allocate`; it changes nothing, and"
                    + " the report shows it");

    /** The whole file. */
    public static final Section SECTION = Section.of(
            "experiment",
            EXTENDS,
            SEED,
            STRICT,
            MODEL,
            CALIBRATION,
            APPROXIMATION,
            QUANTIZATION,
            EVALUATION,
            ALLOCATION);

    private ExperimentKeys() {}

    /** Returns the keys of the top level. */
    public static List<String> sections() {
        return SECTION.keys().all().stream().map(key -> key.name()).toList();
    }
}
