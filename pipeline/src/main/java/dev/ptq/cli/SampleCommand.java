package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.data.Tokenizer;
import dev.ptq.evaluate.TextSampler;
import dev.ptq.evaluate.TokenChoice;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.BlockRunner;
import dev.ptq.model.BlockRunner.BlockChange;
import dev.ptq.model.LanguageModel;
import dev.ptq.progress.Progress;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The command {@code ptq sample --prompt TEXT}. */
@Command(
        name = "sample",
        mixinStandardHelpOptions = true,
        description = "Prints TEXT and what a model writes after it, in full precision. Stops at the end-of-text token"
                + " of the model's tokenizer_config.json; when the context is full, the oldest tokens are dropped.")
final class SampleCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Option(
            names = "--prompt",
            required = true,
            paramLabel = "TEXT",
            description = "the text to continue; may be empty")
    String prompt;

    @Mixin
    ModelOption model;

    @Option(
            names = "--tokens",
            paramLabel = "COUNT",
            defaultValue = "100",
            description = "the most tokens to generate (default: ${DEFAULT-VALUE})")
    int tokens;

    @Option(
            names = "--temperature",
            paramLabel = "NUMBER",
            defaultValue = "0.8",
            description = "divides the logits; 0 takes the likeliest token each time (default: ${DEFAULT-VALUE})")
    double temperature;

    @Option(
            names = "--top-p",
            paramLabel = "SHARE",
            defaultValue = "1",
            description = "draw from the likeliest tokens that have this probability together"
                    + " (default: ${DEFAULT-VALUE}, all of them)")
    double topP;

    @Option(
            names = "--seed",
            paramLabel = "NUMBER",
            defaultValue = "0",
            description = "seed of the random choices (default: ${DEFAULT-VALUE})")
    long seed;

    @Override
    public Integer call() throws IOException {
        checkNumbers();
        ModelFolder folder = folder();
        try (LanguageModel opened = LanguageModel.open(folder.path());
                Tokenizer tokenizer = Tokenizer.open(
                        folder.tokenizer(),
                        Tokenizer.AddBos.AUTO,
                        opened.config().vocabulary().size());
                BlockRunner runner = new BlockRunner(opened, BlockChange.none(), true)) {
            String text = new TextSampler(opened, runner, tokenizer)
                    .continued(
                            prompt, tokens, new TokenChoice(temperature, topP), seed, Progress.Reporter.forTerminal());
            PrintWriter out = spec.commandLine().getOut();
            out.println(text);
            out.flush();
        }
        return 0;
    }

    private void checkNumbers() {
        List<String> problems = new ArrayList<>();
        if (tokens < 1) {
            problems.add("--tokens: expected a whole number of at least 1, got " + tokens);
        }
        if (!(temperature >= 0 && temperature <= Double.MAX_VALUE)) {
            problems.add("--temperature: expected a number of at least 0, got " + temperature);
        }
        if (!(topP > 0 && topP <= 1)) {
            problems.add("--top-p: expected a number above 0 and at most 1, got " + topP);
        }
        if (seed < 0) {
            problems.add("--seed: expected a whole number of at least 0, got " + seed);
        }
        if (!problems.isEmpty()) {
            throw new ConfigException(problems);
        }
    }

    /** Returns the folder of the model, which holds at least a config and a tokenizer. */
    private ModelFolder folder() throws IOException {
        ModelFolder folder = model.folder();
        try {
            ModelConfig.read(folder.path());
        } catch (IOException e) {
            throw new ConfigException("--model: " + e.getMessage());
        }
        model.tokenizer(folder);
        return folder;
    }
}
