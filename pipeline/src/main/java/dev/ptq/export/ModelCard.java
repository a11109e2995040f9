package dev.ptq.export;

import dev.ptq.run.SmallFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/** {@code README.md} of an exported model: how it was made, what was measured, and what the folder does not show. */
final class ModelCard {
    private ModelCard() {}

    /**
     * Writes the card.
     *
     * @param stored how the weights are stored, a sentence
     * @param notes on what the folder does not show
     */
    static void write(Path folder, FinishedRun run, String stored, List<String> notes) throws IOException {
        String name = line(run.experiment().model().name());
        StringBuilder card = new StringBuilder();
        card.append("---\nlibrary_name: transformers\ntags:\n- post-training-quantization\n- ptq\n---\n\n");
        card.append("# ").append(line(run.name())).append("\n\n");
        card.append("Made from `").append(name).append('`');
        run.experiment()
                .model()
                .commit()
                .ifPresent(
                        commit -> card.append(", commit `").append(line(commit)).append('`'));
        card.append(" by [ptq](#config) ")
                .append(line(run.manifest().program().version()))
                .append(", commit `")
                .append(line(run.manifest().program().commit()))
                .append("`, in a run that ended ")
                .append(run.manifest().ended())
                .append(". ")
                .append(stored)
                .append("\n\n");
        if (!notes.isEmpty()) {
            card.append("## What these files do not show\n\n");
            notes.forEach(note -> card.append("- ").append(line(note)).append('\n'));
            card.append('\n');
        }
        card.append("## Metrics\n\nOf the run, which this model was made from.\n\n| metric | value |\n|---|---|\n");
        card.append(metrics(run.metrics()));
        String fence = fence(run.config());
        card.append("\n## Config\n\n")
                .append(fence)
                .append("toml\n")
                .append(run.config().strip())
                .append('\n');
        card.append(fence).append('\n');
        Files.writeString(folder.resolve("README.md"), card);
    }

    private static String metrics(Path file) throws IOException {
        StringBuilder rows = new StringBuilder();
        try {
            JsonMapper.shared().readTree(SmallFile.read(file)).properties().forEach(metric -> {
                if (metric.getValue().isNumber() || metric.getValue().isString()) {
                    rows.append("| ")
                            .append(line(metric.getKey()))
                            .append(" | ")
                            .append(line(metric.getValue().asString()))
                            .append(" |\n");
                }
            });
        } catch (JacksonException e) {
            throw new IOException(file + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        return rows.toString();
    }

    /** A text of anyone's as a part of a line of Markdown. */
    private static String line(String text) {
        return text.replaceAll("\\p{Cc}", " ")
                .replace("|", "\\|")
                .replace("<", "&lt;")
                .replace("`", "'");
    }

    /** A fence that no line of the text closes. */
    private static String fence(String text) {
        StringBuilder fence = new StringBuilder("```");
        while (text.contains(fence)) {
            fence.append('`');
        }
        return fence.toString();
    }
}
