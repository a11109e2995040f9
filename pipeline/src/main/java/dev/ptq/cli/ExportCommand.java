package dev.ptq.cli;

import dev.ptq.config.Spelling;
import dev.ptq.export.Adapter;
import dev.ptq.export.Export;
import dev.ptq.export.ExportFormat;
import dev.ptq.export.ExportSettings;
import dev.ptq.progress.Progress;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
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

    /** A constant by its name. */
    private abstract static class Named<T> implements ITypeConverter<T>, Iterable<String> {
        private final List<T> all;

        Named(List<T> all) {
            this.all = all;
        }

        @Override
        public T convert(String name) {
            return all.stream()
                    .filter(constant -> constant.toString().equals(name))
                    .findFirst()
                    .orElseThrow(() -> new TypeConversionException("expected one of " + names() + ", got \"" + name
                            + "\"" + Spelling.hint(Spelling.closest(name, names()))));
        }

        @Override
        public Iterator<String> iterator() {
            return names().iterator();
        }

        private List<String> names() {
            return all.stream().map(Object::toString).toList();
        }
    }

    /** A layout by its name. */
    static final class LayoutName extends Named<ExportFormat> {
        LayoutName() {
            super(List.of(ExportFormat.values()));
        }
    }

    /** A place of corrections by its name. */
    static final class AdapterName extends Named<Adapter> {
        AdapterName() {
            super(List.of(Adapter.values()));
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
            names = "--round-scales",
            description =
                    "scales of packed weights are rounded to float16, in which most programs hold them; without it"
                            + " those of a linear are float16 where that has them all, else float32")
    boolean roundScales;

    @Option(
            names = "--adapter",
            paramLabel = "PLACE",
            defaultValue = "fold",
            converter = AdapterName.class,
            completionCandidates = AdapterName.class,
            description = "the place of low-rank corrections: in the weights beside them (fold), or in a folder"
                    + " DIR/adapter for the peft library (default: ${DEFAULT-VALUE})")
    Adapter adapter;

    @Option(names = "--strict", description = "rounding that the folder cannot describe is an error, not a note")
    boolean strict;

    @Mixin
    ResultsOption results;

    @Override
    public Integer call() throws IOException {
        PrintWriter err = spec.commandLine().getErr();
        ExportSettings settings = new ExportSettings(
                RunDirectory.of(run, results.folder), target, format, type.stored, roundScales, adapter, strict);
        Export.Outcome outcome = Export.run(settings, Progress.Reporter.forTerminal());
        outcome.notes().forEach(note -> err.println("note: " + note));
        err.flush();
        PrintWriter out = spec.commandLine().getOut();
        out.printf(Locale.ROOT, "model: %s, weights of %.1f MiB%n", target, outcome.bytes() / (double) (1 << 20));
        out.flush();
        return 0;
    }
}
