package dev.ptq.cli;

import dev.ptq.config.KeyRow;
import dev.ptq.config.Section;
import dev.ptq.data.Corpus;
import dev.ptq.evaluate.task.Tasks;
import dev.ptq.family.Families;
import dev.ptq.format.Formats;
import dev.ptq.method.Methods;
import dev.ptq.stage.ExperimentKeys;
import dev.ptq.weights.ModelFolder;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq list methods|formats|models|datasets|tasks|keys}. */
@Command(
        name = "list",
        mixinStandardHelpOptions = true,
        description =
                "Lists what can be written in a config, with one line each: methods and formats by name, families of"
                        + " models, corpora and kinds of text files, tasks, and every key of an experiment file.")
final class ListCommand implements Callable<Integer> {
    /** The things that can be listed; lower case on the command line. */
    enum What {
        methods,
        formats,
        models,
        datasets,
        tasks,
        keys
    }

    @Spec
    CommandSpec spec;

    @Parameters(paramLabel = "WHAT", description = "one of: ${COMPLETION-CANDIDATES}")
    What what;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        switch (what) {
            case methods -> print(out, Methods.descriptions());
            case formats -> print(out, Formats.descriptions());
            case models -> print(out, models());
            case datasets -> print(out, datasets());
            case tasks -> print(out, Tasks.descriptions());
            case keys -> ExperimentKeys.SECTION.withInner().forEach(section -> printKeys(out, section));
        }
        out.flush();
        return 0;
    }

    private static void print(PrintWriter out, Map<String, String> lines) {
        lines.forEach((name, text) -> out.printf(Locale.ROOT, "%-14s %s%n", name, text));
    }

    /** Prints the keys of a section, as in the tables of {@code configs/README.md}. */
    private static void printKeys(PrintWriter out, Section section) {
        out.printf(Locale.ROOT, "%s%n", section.title());
        KeyRow.of(section).forEach(row -> print(out, row));
        KeyRow.of(section, section.variants().keySet()).forEach(row -> print(out, row));
    }

    private static void print(PrintWriter out, KeyRow row) {
        String preset = row.preset().isEmpty() ? "" : "; default: " + row.preset();
        String where = row.variants().isEmpty() ? "" : "; of " + String.join(", ", row.variants());
        out.printf(Locale.ROOT, "  %-22s %s (%s%s%s)%n", row.key(), row.meaning(), row.values(), preset, where);
    }

    private static Map<String, String> models() {
        Map<String, String> lines = new LinkedHashMap<>(ModelFolder.shipped());
        lines.put("PATH", "a Hugging Face model folder: config.json, safetensors (one file or shards), tokenizer.json");
        lines.put(
                "OWNER/NAME",
                "such a folder on the Hugging Face hub, also OWNER/NAME@REVISION; see `ptq fetch --help`");
        Families.all().forEach(family -> lines.put("  " + family.modelType(), family.particulars()));
        return lines;
    }

    private static Map<String, String> datasets() {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put(
                "CORPUS",
                "comes with the program; split = \"train\" (calibration), \"validation\" or \"test\" (evaluation)");
        for (Corpus corpus : Corpus.values()) {
            lines.put("  " + corpus.label(), corpus.description());
        }
        lines.put("FILE.txt", "a text; layout = \"document\" (one row), \"lines\" or \"wikitext\"");
        lines.put(
                "FILE",
                "rows in .parquet, .jsonl or .json, also .gz; field = \"text\" names the key that holds the text");
        lines.put("FOLDER", "such files, laid out as on the hub; split = \"test\", config where it holds several");
        lines.put("OWNER/NAME", "the same on the Hugging Face hub, also OWNER/NAME@REVISION; see `ptq fetch --help`");
        return lines;
    }
}
