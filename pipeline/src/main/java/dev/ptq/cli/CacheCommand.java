package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.experiment.ExperimentPlan;
import dev.ptq.progress.Progress;
import dev.ptq.run.CacheEntry;
import dev.ptq.run.CacheInventory;
import dev.ptq.run.CachePruning;
import dev.ptq.run.Explanation;
import dev.ptq.stage.Workspace;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq cache list|explain|prune}. */
@Command(
        name = "cache",
        mixinStandardHelpOptions = true,
        synopsisSubcommandLabel = "COMMAND",
        description = "Shows and cleans the finished stages that the runs of a results folder share.")
final class CacheCommand {
    private static final Pattern AGE = Pattern.compile("(?<number>[0-9]{1,6})(?<unit>[dhm])");
    private static final int MOST_RUNS = 3;

    @Spec
    CommandSpec spec;

    @Command(
            name = "list",
            mixinStandardHelpOptions = true,
            description = "Lists the finished stages, which runs use them, and unfinished work.")
    int list(@Mixin ResultsOption results) throws IOException {
        List<CacheEntry> entries = CacheInventory.of(results.folder);
        PrintWriter out = spec.commandLine().getOut();
        String format = "%-40s %-16s %10s  %-24s %8s  %s%n";
        if (!entries.isEmpty()) {
            out.printf(Locale.ROOT, format, "stage", "fingerprint", "size", "made", "seconds", "used by");
        }
        for (CacheEntry entry : entries) {
            OptionalDouble seconds =
                    entry.done().stream().mapToDouble(done -> done.seconds()).findFirst();
            out.printf(
                    Locale.ROOT,
                    format,
                    entry.stage(),
                    entry.fingerprint(),
                    size(entry.bytes()),
                    entry.made(),
                    seconds.isPresent() ? String.format(Locale.ROOT, "%.1f", seconds.getAsDouble()) : "-",
                    use(entry));
        }
        List<CacheEntry> unused =
                entries.stream().filter(entry -> entry.runs().isEmpty()).toList();
        out.printf(
                Locale.ROOT,
                "%d entries, %s; %d of them, %s, used by no run%n",
                entries.size(),
                size(bytes(entries)),
                unused.size(),
                size(bytes(unused)));
        out.flush();
        return 0;
    }

    private static String use(CacheEntry entry) {
        return switch (entry.kind()) {
            case DAMAGED -> "(cannot be read, will be made again)";
            case UNFINISHED -> "(unfinished, a run goes on from there)";
            case PARTIAL -> "(being made, or left by a killed run)";
            case FINISHED -> {
                List<String> runs = entry.runs();
                String first = String.join(", ", runs.subList(0, Math.min(MOST_RUNS, runs.size())));
                yield runs.isEmpty()
                        ? "-"
                        : first + (runs.size() > MOST_RUNS ? " and " + (runs.size() - MOST_RUNS) + " more" : "");
            }
        };
    }

    @Command(
            name = "explain",
            mixinStandardHelpOptions = true,
            preprocessor = ExperimentOptions.BareOverrides.class,
            description =
                    "Tells of each stage of CONFIG whether it is cached; if not, what differs from the nearest one"
                            + " that is.")
    int explain(
            @Parameters(paramLabel = "CONFIG", description = "the experiment, a TOML file") Path config,
            @Mixin ExperimentOptions options)
            throws IOException {
        PrintWriter out = spec.commandLine().getOut();
        try (Workspace workspace = new Workspace(options.read(options.files(config)), Progress.Reporter.none())) {
            for (Explanation explanation : Explanation.of(options.results.folder, ExperimentPlan.of(workspace))) {
                out.println(explanation.line(ExperimentPlan::meaning));
            }
        }
        out.flush();
        return 0;
    }

    @Command(
            name = "prune",
            mixinStandardHelpOptions = true,
            description = "Deletes the entries that no run of the folder uses, and what killed runs left. Runs keep"
                    + " their files, and what is being made or used stays.")
    int prune(
            @Mixin ResultsOption results,
            @Option(names = "--dry-run", description = "only print what would be deleted") boolean dryRun,
            @Option(
                            names = "--older-than",
                            paramLabel = "AGE",
                            defaultValue = "0m",
                            description = "only what was made longer ago, such as 30d, 12h or 45m")
                    String age,
            @Option(names = "--all", description = "also what runs use") boolean all)
            throws IOException {
        CachePruning.Result result =
                new CachePruning(results.folder, all, Instant.now().minus(duration(age)), dryRun).run();
        PrintWriter out = spec.commandLine().getOut();
        result.deleted()
                .forEach(entry -> out.printf(
                        "%s %s, %s%n", dryRun ? "would delete" : "deleted", entry.name(), size(entry.bytes())));
        result.busy().forEach(entry -> out.printf("kept %s: in use by another process%n", entry.name()));
        out.printf(
                Locale.ROOT,
                "%s: %d entries and %d lock files%s%n",
                size(result.freedBytes()) + (dryRun ? " would be freed" : " freed"),
                result.deleted().size(),
                result.locks(),
                result.sharedBytes() == 0 ? "" : "; " + size(result.sharedBytes()) + " stay, runs hold them");
        out.flush();
        return 0;
    }

    private static Duration duration(String age) {
        Matcher matcher = AGE.matcher(age);
        if (!matcher.matches()) {
            throw new ConfigException("--older-than: expected a number of days, hours or minutes such as 30d, 12h or"
                    + " 45m, got \"" + age + "\"");
        }
        long number = Long.parseLong(matcher.group("number"));
        return switch (matcher.group("unit")) {
            case "d" -> Duration.ofDays(number);
            case "h" -> Duration.ofHours(number);
            default -> Duration.ofMinutes(number);
        };
    }

    private static long bytes(List<CacheEntry> entries) {
        return entries.stream().mapToLong(CacheEntry::bytes).sum();
    }

    private static String size(long bytes) {
        return bytes < 1 << 20
                ? String.format(Locale.ROOT, "%.1f KiB", bytes / 0x1p10)
                : bytes < 1 << 30
                        ? String.format(Locale.ROOT, "%.1f MiB", bytes / 0x1p20)
                        : String.format(Locale.ROOT, "%.1f GiB", bytes / 0x1p30);
    }
}
