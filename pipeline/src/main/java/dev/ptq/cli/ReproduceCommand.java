package dev.ptq.cli;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.Spelling;
import dev.ptq.experiment.ExperimentRun;
import dev.ptq.experiment.Reproduction;
import dev.ptq.report.TextTable;
import dev.ptq.stage.Experiment;
import dev.ptq.stage.JsonFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.JsonNode;

/** The command {@code ptq reproduce NAME}. */
@Command(
        name = "reproduce",
        mixinStandardHelpOptions = true,
        description = "Runs the experiment of a published number and says whether it was reached, and by how much it"
                + " differs; exit code 1 if it was not. With \"list\", prints all that there are.")
final class ReproduceCommand implements Callable<Integer> {
    private static final Logger log = LoggerFactory.getLogger(ReproduceCommand.class);
    private static final String LIST = "list";

    @Spec
    CommandSpec spec;

    @Parameters(paramLabel = "NAME", description = "the name of a row, or list")
    String name;

    @Mixin
    ExperimentOptions options;

    @Option(
            names = "--from",
            paramLabel = "DIR",
            description = "the folder of the rows (default: ${DEFAULT-VALUE})",
            defaultValue = "configs/" + Reproduction.FOLDER)
    Path folder;

    @Override
    public Integer call() throws IOException {
        if (!Files.isDirectory(folder)) {
            throw new ConfigException("--from: " + folder + " is not a folder; start ptq in the checkout, or name its"
                    + " configs/" + Reproduction.FOLDER);
        }
        Map<String, Reproduction> all = Reproduction.readAll(folder);
        if (name.equals(LIST)) {
            spec.commandLine().getOut().print(table(all));
            spec.commandLine().getOut().flush();
            return ExitCode.OK;
        }
        Reproduction reproduction = all.get(name);
        if (reproduction == null) {
            throw new ConfigException("NAME: expected a row of " + folder + ", got \"" + name + "\""
                    + Spelling.hint(Spelling.closest(name, all.keySet())) + "; \"ptq reproduce list\" shows them");
        }
        return run(reproduction) ? ExitCode.OK : ExitCode.SOFTWARE;
    }

    private static String table(Map<String, Reproduction> all) {
        List<String[]> rows = new ArrayList<>();
        rows.add(new String[] {"name", "published", "within", "here", "metric", "source"});
        for (Reproduction each : all.values()) {
            rows.add(new String[] {
                each.name(),
                number(each.expected()),
                number(each.tolerance()),
                each.here()
                        .map(value -> number(value) + (each.reachedBy(value) ? "" : " (not reached)"))
                        .orElse("not run"),
                each.metric(),
                each.paper() + ": " + each.row()
            });
        }
        return TextTable.render(rows, Set.of(0, 4, 5));
    }

    private boolean run(Reproduction reproduction) throws IOException {
        String tag = "reproduce-" + reproduction.name();
        ExperimentRun.requirePlace(options.results.folder, tag);
        log.info("{}, {}: {}", reproduction.paper(), reproduction.table(), reproduction.row());
        log.info("protocol: {}", reproduction.protocol());
        log.info("model: {}", reproduction.model());
        reproduction.traps().forEach(trap -> log.info("known trap: {}", trap));
        // those of the user come later and win
        options.overrides.addAll(0, reproduction.overrides());
        ConfigFiles files = options.files(reproduction.config());
        Experiment experiment = options.read(files);
        PrintWriter out = spec.commandLine().getOut();
        RunCommand.run(
                experiment,
                files,
                options.results.folder,
                tag,
                true, // a run with other settings of the user's is kept beside it
                Optional.empty(),
                out);
        Path metrics = options.results.folder.resolve(tag).resolve(RunFiles.METRICS);
        JsonNode value = JsonFiles.read(metrics).path(reproduction.metric());
        if (!value.isNumber()) {
            throw new IOException(metrics + ": expected a number under \"" + reproduction.metric()
                    + "\", as the row says; got " + (value.isMissingNode() ? "nothing" : value));
        }
        double difference = value.asDouble() - reproduction.expected();
        boolean reached = reproduction.reachedBy(value.asDouble());
        out.printf(
                Locale.ROOT,
                "%s: %s; published %s; difference %+.4g (%+.2f %%), allowed %s: %s%n",
                reproduction.metric(),
                number(value.asDouble()),
                number(reproduction.expected()),
                difference,
                100 * difference / reproduction.expected(),
                number(reproduction.tolerance()),
                reached ? "reached" : "not reached");
        out.flush();
        return reached;
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.6g", value)
                .replaceAll("(\\.\\d*?)0+$", "$1")
                .replaceAll("\\.$", "");
    }
}
