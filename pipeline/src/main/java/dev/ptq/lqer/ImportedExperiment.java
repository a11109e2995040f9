package dev.ptq.lqer;

import dev.ptq.config.ConfigException;
import dev.ptq.config.Problems;
import dev.ptq.config.TomlWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * An LQER experiment file translated into one of ours.
 *
 * @param toml the experiment file; settings without a counterpart here are comments
 * @param warnings points for the user to check, each with its place in LQER's file
 */
public record ImportedExperiment(String toml, List<String> warnings) {
    public ImportedExperiment {
        warnings = List.copyOf(warnings);
    }

    /**
     * Translates a file.
     *
     * @param overrides {@code --a:b:c=value}, in the syntax of LQER's scripts
     * @param model the path to write instead of LQER's name
     * @throws ConfigException with all problems, if it is not an experiment file of LQER
     * @throws IOException if it cannot be read
     */
    public static ImportedExperiment read(Path file, List<String> overrides, Optional<String> model)
            throws IOException {
        Problems problems = new Problems();
        LqerTable root = LqerFile.read(file, overrides, problems);
        problems.throwIfAny();
        refuseOthers(root, file);
        ExperimentText text = new ExperimentText();
        text.section("")
                .remark("From " + TomlWriter.inline(String.valueOf(file.getFileName()))
                        + ", an experiment file of LQER (ptq import-lqer).");
        new Translation(root, text).write(model);
        problems.throwIfAny();
        return new ImportedExperiment(text.toml(), text.warnings());
    }

    private static void refuseOthers(LqerTable root, Path file) {
        boolean lqers = List.of("profile", "approximate", "q_config", "evaluate").stream()
                .anyMatch(root::hasTable);
        if (!lqers) {
            throw new ConfigException(file + ":1:1: expected an experiment file of LQER, with at least one of the"
                    + " sections profile, approximate, q_config, evaluate");
        }
    }
}
