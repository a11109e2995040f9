package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.lqer.ImportedExperiment;
import dev.ptq.run.AtomicFile;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.Unmatched;

/** The command {@code ptq import-lqer FILE}. */
@Command(
        name = "import-lqer",
        mixinStandardHelpOptions = true,
        customSynopsis = "ptq import-lqer [-hV] [--model=PATH] [--out=EXPERIMENT] FILE [--SECTION:KEY=VALUE]...",
        description = "Prints an experiment file of LQER (ICML 2024) as one of ours. Settings that ptq does not support"
                + " are kept as comments; conflicts are reported as warnings.",
        footer = "%nValues of FILE are replaced as LQER's scripts do it, such as"
                + " --approximate:approximator:default:rank=16 or --evaluate:disable_lqer=:ast:True.")
final class ImportLqerCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "FILE", description = "the file of LQER, TOML")
    Path file;

    @Option(
            names = "--model",
            paramLabel = "PATH",
            description = "what to write as model.path; LQER's files name models of the Hugging Face hub")
    @Nullable
    String model;

    @Option(names = "--out", paramLabel = "EXPERIMENT", description = "write to this file instead of stdout")
    @Nullable
    Path out;

    @Unmatched
    List<String> overrides = new ArrayList<>();

    @Override
    public Integer call() throws IOException {
        InputFile.require(file);
        ImportedExperiment imported = ImportedExperiment.read(file, overrides, Optional.ofNullable(model));
        imported.warnings().forEach(spec.commandLine().getErr()::println);
        if (out == null) {
            PrintWriter print = spec.commandLine().getOut();
            print.print(imported.toml());
            print.flush();
        } else {
            write(out, imported.toml());
        }
        return 0;
    }

    private void write(Path target, String toml) throws IOException {
        OutputFile.require(target);
        if (Files.exists(target) && Files.isSameFile(target, file)) {
            throw new ConfigException(target + ": expected another file than the one that is read");
        }
        AtomicFile.replace(target, toml);
    }
}
