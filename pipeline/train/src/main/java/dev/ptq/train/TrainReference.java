package dev.ptq.train;

import dev.ptq.cli.Ptq;
import dev.ptq.config.ConfigException;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code scripts/train-reference --out DIR}. */
@Command(
        name = "train-reference",
        description = {
            "Trains the model that comes with the program, from nothing, on the texts that come with it.",
            "Takes an hour or two. A training that was stopped goes on from its last checkpoint in DIR.partial."
        })
public final class TrainReference implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help message and exit.")
    boolean help;

    @Option(names = "--out", required = true, paramLabel = "DIR", description = "the model folder to make")
    Path out;

    @Option(
            names = "--steps",
            paramLabel = "COUNT",
            defaultValue = "2400",
            description = "length of the training (default: ${DEFAULT-VALUE})")
    int steps;

    @Option(
            names = "--seed",
            paramLabel = "NUMBER",
            defaultValue = "1",
            description = "another seed, another model (default: ${DEFAULT-VALUE})")
    long seed;

    /** Trains and exits. */
    public static void main(String[] arguments) {
        Ptq.run(new TrainReference(), arguments);
    }

    @Override
    public Integer call() throws IOException {
        if (steps < 1) {
            throw new ConfigException("--steps: expected a whole number of at least 1, got " + steps);
        }
        ReferenceModel.make(
                Recipe.reference(seed, steps),
                ReferenceModel.corpora(),
                command(steps, seed),
                out.toAbsolutePath().normalize(),
                (step, loss) -> {},
                Progress.Reporter.forTerminal());
        spec.commandLine().getOut().println("model: " + out);
        return 0;
    }

    /** The command that makes the model again, for the model card. */
    static String command(int steps, long seed) {
        return "scripts/train-reference --out DIR --steps " + steps + " --seed " + seed;
    }
}
