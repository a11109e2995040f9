package dev.ptq.lqer;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/** Translates the sections of an LQER file into those of an experiment file. */
final class Translation {
    private static final Pattern OPT = Pattern.compile("(?i)(.*[/_-])?opt([_-].*)?");

    private static final String TAG = "a run is named on the command line, ptq run CONFIG TAG";
    private static final String NO_SERVICE = "ptq reports to no service";
    private static final String STAGES = "ptq makes what is needed and was not made before";
    private static final Map<String, String> WITHOUT_COUNTERPART = Map.of(
            "project", TAG,
            "tags", TAG,
            "task", "ptq has language models only",
            "checkpoint_path", "results go to results/TAG, or to another folder with --results DIR",
            "overwrite_checkpoint", "a finished run is kept; stages are made again with --force STAGE",
            "enable_wandb", NO_SERVICE,
            "enable_profiling", STAGES,
            "enable_approximation", STAGES);

    private final LqerTable root;
    private final ExperimentText text;

    Translation(LqerTable root, ExperimentText text) {
        this.root = root;
        this.text = text;
    }

    /** Writes all sections. */
    void write(Optional<String> model) {
        ExperimentText.Section top = text.section("");
        top.comment(root, WITHOUT_COUNTERPART);
        root.table("wandb").ifPresent(wandb -> top.commentAll(wandb, NO_SERVICE));
        writeModel(text.section("[model]"), model);
        Optional<Baseline> baseline = Baseline.read(root);
        baseline.ifPresentOrElse(given -> given.write(root, text.section("[quantization]")), () -> writeNumbers());
        writeEvaluation(baseline, text.section("[evaluation]"));
        commentOnUnread(root, text.section(""));
    }

    private void writeModel(ExperimentText.Section section, Optional<String> model) {
        Optional<String> name = root.text("model_name");
        if (name.isEmpty() && model.isEmpty()) {
            root.problem("model_name", "expected a text, but it is missing; --model PATH may be given instead");
        }
        if (model.isPresent()) {
            section.comment(root, "model_name", "--model was given instead");
        }
        section.set("path", model.or(() -> name).orElse(""));
    }

    /** Writes calibration, corrections and formats, which depend on each other. */
    private void writeNumbers() {
        ExperimentText.Section calibration = text.section("[calibration]");
        ExperimentText.Section approximation = text.section("");
        ExperimentText.Section quantization = text.apart("[quantization]");
        ExperimentText.Section attention = text.apart("[quantization.attention]");

        Linears linears = Linears.read(root, quantization);
        Optional<Corrections> corrections = corrections(linears.corrected(), approximation);
        linears.assumeWeights(root, corrections.map(Corrections::weights).orElse(List.of()));
        corrections.ifPresent(steps -> {
            steps.compareWeights(linears.weights(), approximation);
            linears.warnOfUncorrected();
        });
        writeCalibration(corrections.filter(Corrections::needStatistics).isPresent(), calibration);
        corrections.ifPresent(steps -> steps.write(text, linears.products()));
        text.add(quantization);
        linears.write();
        text.add(attention);
        root.table("q_config")
                .ifPresent(table -> AttentionProducts.write(table, isOpt() ? "bmm" : "matmul", attention));
        linears.writeOverrides(text);
    }

    private boolean isOpt() {
        boolean patterns = root.table("approximate")
                .filter(table -> table.hasTable("approximator"))
                .flatMap(table -> table.table("approximator"))
                .filter(table -> table.keys().stream().anyMatch(key -> key.contains("decoder")))
                .isPresent();
        return patterns || OPT.matcher(root.text("model_name").orElse("")).matches();
    }

    private Optional<Corrections> corrections(boolean haveLayers, ExperimentText.Section section) {
        boolean disabled = root.table("evaluate")
                .flatMap(table -> table.flag("disable_lqer"))
                .orElse(false);
        if (disabled || !haveLayers) {
            String why = disabled
                    ? "evaluate.disable_lqer = true, weights are only rounded"
                    : "layers of q_config's \"flexible\" have no low-rank path";
            root.table("approximate").ifPresent(table -> section.commentAll(table, why));
            section.comment(root, "l_config", why);
            return Optional.empty();
        }
        Optional<Corrections> corrections = root.table("approximate").map(table -> Corrections.read(table, section));
        if (corrections.isEmpty()) {
            section.warn(root, "approximate", "left out; no weight is corrected");
            section.comment(root, "l_config", "no weight is corrected");
        } else {
            root.table("l_config").ifPresent(table -> corrections.get().compareRanks(table, section));
        }
        return corrections;
    }

    private void writeCalibration(boolean needed, ExperimentText.Section section) {
        Optional<LqerTable> profile = root.table("profile");
        if (!needed) {
            profile.ifPresent(table -> section.commentAll(table, "no step needs statistics"));
        } else if (profile.isPresent()) {
            Texts.calibration(profile.get(), section);
        } else {
            section.warn(root, "profile", "left out; supply a text that statistics are taken from");
            section.set("dataset", "train.txt");
            section.set("sample", "start");
        }
    }

    private void writeEvaluation(Optional<Baseline> baseline, ExperimentText.Section section) {
        boolean perplexity = root.flag("enable_perplexity_evaluation").orElse(true);
        boolean tasks = root.flag("enable_harness_downstream_evaluation").orElse(true);
        Optional<LqerTable> evaluate = root.table("evaluate");
        evaluate.ifPresent(table -> {
            section.comment(table, "low_rank_dict", "factors are a file of the run, approximate/low_rank.safetensors");
            Texts.precision(table, section);
            if (baseline.isPresent()) {
                section.remark(baseline.get().precision());
            } else if (!table.has("dtype")) {
                section.remark("evaluate.dtype is left out: LQER measures in float16 then, ptq in float32");
            }
        });
        section.remark("LQER measures this model alone; "
                + baseline.map(Baseline::others).orElse("\"full_precision\" and \"round_to_nearest\" may stand here"));
        section.set("baselines", List.of());
        evaluate.flatMap(table -> table.table("harness_downstream")).ifPresent(table -> {
            if (tasks) {
                HarnessTasks.write(table, text.section("[evaluation.tasks]"));
            } else {
                section.commentAll(table, "enable_harness_downstream_evaluation = false");
            }
        });
        evaluate.flatMap(table -> table.table("perplexity")).ifPresent(table -> {
            if (perplexity) {
                int batch = baseline.isPresent() ? Baseline.BATCH_SIZE : Texts.BATCH_SIZE;
                Texts.perplexity(table, batch, text.section("[[evaluation.perplexity]]"));
            } else {
                section.commentAll(table, "enable_perplexity_evaluation = false");
            }
        });
    }

    private static void commentOnUnread(LqerTable table, ExperimentText.Section section) {
        table.unread().forEach(key -> section.comment(table, key, "a key that ptq does not know"));
        table.children().forEach(child -> commentOnUnread(child, section));
    }
}
