package dev.ptq.cli;

import dev.ptq.config.Spelling;
import dev.ptq.export.Export;
import dev.ptq.export.ExportFormat;
import dev.ptq.export.ExportSettings;
import dev.ptq.progress.Progress;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** The command {@code ptq export RUN DIR}. */
@Command(
        name = "export",
        mixinStandardHelpOptions = true,
        description = "Makes a Hugging Face model folder of the model that a finished run measured, with tokenizer and"
                + " model card.")
final class ExportCommand implements Callable<Integer> {
    /** The type of values that are not packed; lower case on the command line. */
    enum Type {
        float32(StoredType.F32),
        bfloat16(StoredType.BF16);

        private final StoredType stored;

        Type(StoredType stored) {
            this.stored = stored;
        }
    }

    /** A layout by its name. */
    static final class LayoutName implements ITypeConverter<ExportFormat>, Iterable<String> {
        @Override
        public ExportFormat convert(String name) {
            return Arrays.stream(ExportFormat.values())
                    .filter(format -> format.toString().equals(name))
                    .findFirst()
                    .orElseThrow(() -> new TypeConversionException("expected one of " + names() + ", got \"" + name
                            + "\"" + Spelling.hint(Spelling.closest(name, names()))));
        }

        @Override
        public Iterator<String> iterator() {
            return names().iterator();
        }

        private static List<String> names() {
            return Arrays.stream(ExportFormat.values())
                    .map(ExportFormat::toString)
                    .toList();
        }
    }

    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "RUN", description = "the run's directory, or its tag")
    Path run;

    @Parameters(index = "1", paramLabel = "DIR", description = "the folder to be made; it must not exist")
    Path target;

    @Option(
            names = "--format",
            paramLabel = "LAYOUT",
            defaultValue = "float",
            converter = LayoutName.class,
            completionCandidates = LayoutName.class,
            description = "how weights of linears are stored: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE})")
    ExportFormat format;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "float32",
            description = "type of all values that are not packed, float32 or bfloat16, which rounds them (default:"
                    + " ${DEFAULT-VALUE})")
    Type type;

    @Option(
            names = "--strict",
            description = "whatever the run rounds and the folder does not show is an error, not a note")
    boolean strict;

    @Mixin
    ResultsOption results;

    @Override
    public Integer call() throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        ExportSettings settings =
                new ExportSettings(RunDirectory.of(run, results.folder), target, format, type.stored, strict);
        Export.Outcome outcome = Export.run(settings, Progress.Reporter.forTerminal());
        outcome.notes().forEach(note -> err.println("note: " + note));
        err.flush();
        PrintWriter out = spec.commandLine().getOut();
        out.printf(Locale.ROOT, "model: %s, weights of %.1f MiB%n", target, outcome.bytes() / (double) (1 << 20));
        out.flush();
        return 0;
    }
}
