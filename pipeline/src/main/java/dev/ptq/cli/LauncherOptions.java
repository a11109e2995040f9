package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigFiles;
import dev.ptq.config.Environment;
import dev.ptq.environment.CacheFolder;
import dev.ptq.slurm.Slurm;
import dev.ptq.slurm.SlurmSettings;
import dev.ptq.sweep.Launch;
import dev.ptq.sweep.SlurmLauncher;
import dev.ptq.tensor.TensorEngine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** The options that say where runs are done. */
final class LauncherOptions {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    /** The places; lower case on the command line. */
    enum Where {
        local,
        slurm,
        files
    }

    @Option(
            names = "--launcher",
            paramLabel = "WHERE",
            defaultValue = "local",
            description =
                    "where runs are done: local is here; slurm hands them to a cluster; files only writes a list of"
                            + " tasks for any other program that starts processes (default: ${DEFAULT-VALUE})")
    Where where = Where.local;

    @Option(
            names = "--launcher-config",
            paramLabel = "FILE",
            description = "settings of the launcher, TOML (default: $PTQ_LAUNCHER, else ~/.config/ptq/launcher.toml)")
    @Nullable
    Path file;

    @Option(names = "--detach", description = "end when everything is submitted; the same command later watches it")
    boolean detach;

    @Option(
            names = "--split-blocks",
            paramLabel = "COUNT",
            defaultValue = "1",
            description = "ranges of blocks that processes of their own work on, where a block needs no other"
                    + " (default: ${DEFAULT-VALUE})")
    int split = 1;

    /**
     * Makes sure that the options go together.
     *
     * @throws ConfigException if not
     */
    void require() {
        if (split < 1) {
            throw new ConfigException("--split-blocks: expected a whole number of at least 1, got " + split);
        }
        if (where == Where.local && split > 1) {
            throw new ConfigException("--split-blocks: needs --launcher slurm or --launcher files");
        }
        if (where != Where.slurm && detach) {
            throw new ConfigException("--detach: needs --launcher slurm");
        }
        if (where != Where.slurm && file != null) {
            throw new ConfigException("--launcher-config: needs --launcher slurm");
        }
    }

    /**
     * Returns what is handed to the launcher.
     *
     * @param changes {@code key=value} for the config
     */
    Launch launch(Path results, String tag, boolean sweep, ConfigFiles config, List<String> changes) {
        Map<String, String> environment = new LinkedHashMap<>(ThisProgram.environment());
        Stream.concat(config.files().stream().map(ConfigFiles.Content::text), changes.stream())
                .flatMap(text -> Environment.names(text).stream())
                .forEach(name ->
                        Optional.ofNullable(System.getenv(name)).ifPresent(value -> environment.put(name, value)));
        Path here = Path.of("").toAbsolutePath();
        return new Launch(results, tag, sweep, config, here, ThisProgram.program(), environment, split);
    }

    /**
     * Returns the launcher, after checks.
     *
     * @param files that runs read, by what they are
     */
    SlurmLauncher slurm(Launch launch, OptionalInt parallel, List<Map<String, List<Path>>> files) throws IOException {
        SlurmSettings settings = settings();
        Slurm commands = new Slurm(settings.commands(), PATIENCE);
        SlurmLauncher launcher = new SlurmLauncher(launch, settings, commands, parallel);
        Map<String, Set<Path>> places = new LinkedHashMap<>();
        places.put("the program's cache (PTQ_CACHE)", Set.of(CacheFolder.path()));
        files.forEach(some -> some.forEach((what, paths) ->
                places.computeIfAbsent(what, first -> new LinkedHashSet<>()).addAll(paths)));
        Map<String, List<Path>> all = new LinkedHashMap<>();
        places.forEach((what, paths) -> all.put(what, new ArrayList<>(paths)));
        launcher.check(all);
        return launcher;
    }

    private SlurmSettings settings() throws IOException {
        Optional<Path> given = Optional.ofNullable(file)
                .or(() -> Optional.ofNullable(System.getenv("PTQ_LAUNCHER")).map(Path::of));
        if (given.isPresent()) {
            InputFile.require(given.get());
            return SlurmSettings.read(given.get());
        }
        Path own = Path.of(System.getProperty("user.home"), ".config", "ptq", "launcher.toml");
        return Files.exists(own) ? SlurmSettings.read(own) : SlurmSettings.parse("", "no settings");
    }

    /** Starts the tensor engine, which unpacks its libraries: many nodes at once would do so at the same time. */
    void unpackNatives() {
        TensorEngine.newManager().close();
    }
}
