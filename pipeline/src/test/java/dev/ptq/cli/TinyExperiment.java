package dev.ptq.cli;

import dev.ptq.artifact.LedgerEntry;
import dev.ptq.model.SyntheticModel;
import dev.ptq.stage.Ledger;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import picocli.CommandLine;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A folder with random tiny models, a made-up text and experiment files, and the program at work on them. */
final class TinyExperiment {
    /** What most tests run: everything that a config can ask for, in small. */
    static final String CONFIG = """
            seed = 3
            [model]
            path = "DIR/llama"
            [calibration]
            dataset = "DIR/text.txt"
            num_samples = 4
            seq_len = 24
            batch_size = 2
            [[approximation]]
            method = "l2qer"
            rank = 4
            [quantization.weight]
            format = "mxint"
            bits = 3
            [quantization.activation]
            format = "mxint"
            bits = 8
            [evaluation]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 24
            max_samples = 6
            batch_size = 4
            """;

    /** Samples of the text. */
    static final String CALIBRATED = """
            [calibration]
            dataset = "DIR/text.txt"
            num_samples = 4
            seq_len = 24
            batch_size = 2
            """;

    /** Tasks beside the text, see {@link #writeTasks}. */
    static final String TASKS = """
            [evaluation.tasks]
            names = ["arc_easy", "copa"]
            data = "DIR/tasks"
            batch_size = 3
            """;

    private static final List<String> WORDS = List.of(
            "heron", "lamp", "quiet", "seven", "orchard", "sings", "under", "glass", "the", "a", "moves", ".\n");

    final Path folder;

    /** What a command printed and how it ended. */
    record Outcome(int code, String out, String err) {}

    TinyExperiment(Path folder) throws IOException {
        this.folder = folder;
        SyntheticModel.llama()
                .vocabulary(259)
                .positions(64)
                .heads(4, 2)
                .tokenizer()
                .write(folder.resolve("llama"));
        StringBuilder text = new StringBuilder();
        SplittableRandom random = new SplittableRandom(5);
        while (text.length() < 600) {
            text.append(WORDS.get(random.nextInt(WORDS.size()))).append(' ');
        }
        Files.writeString(folder.resolve("text.txt"), text);
    }

    /** Makes up the documents of {@link #TASKS} in a folder that has a model. */
    static void writeTasks(Path folder) throws IOException {
        StringBuilder arc = new StringBuilder();
        StringBuilder copa = new StringBuilder();
        for (int i = 0; i < 12; i++) {
            arc.append(
                    "{\"id\": \"%d\", \"question\": \"Is %d odd?\", \"choices\": {\"text\": [\"yes\", \"no\", \"so %d\"],"
                            .formatted(i, i, i));
            arc.append(" \"label\": [\"A\", \"B\", \"C\"]}, \"answerKey\": \"%s\"}%n".formatted("ABC".charAt(i % 3)));
            copa.append("{\"premise\": \"It fell %d.\", \"choice1\": \"It rose.\", \"choice2\": \"I am %d.\", "
                    .formatted(i, i));
            copa.append("\"question\": \"cause\", \"idx\": %d, \"label\": %d}%n".formatted(i, i % 2));
        }
        Files.writeString(folder.resolve("llama/tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
        Files.createDirectories(folder.resolve("tasks/arc_easy"));
        Files.createDirectories(folder.resolve("tasks/copa"));
        Files.writeString(folder.resolve("tasks/arc_easy/test.jsonl"), arc);
        Files.writeString(folder.resolve("tasks/copa/validation.jsonl"), copa);
    }

    /** Writes an experiment file; {@code DIR} in it is this folder. */
    Path config(String toml) throws IOException {
        return Files.writeString(folder.resolve("config.toml"), toml.replace("DIR", folder.toString()));
    }

    /** Runs a command; {@code DIR} stands for this folder in its arguments and in what it printed. */
    Outcome execute(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        CommandLine commandLine = Ptq.commandLine(new Ptq());
        commandLine.setOut(new PrintWriter(out));
        commandLine.setErr(new PrintWriter(err));
        commandLine.setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF));
        int code = commandLine.execute(Stream.of(arguments)
                .map(argument -> argument.replace("DIR", folder.toString()))
                .toArray(String[]::new));
        return new Outcome(code, shown(out), shown(err));
    }

    private String shown(StringWriter text) {
        return text.toString().replace(folder.toString(), "DIR").replace(System.lineSeparator(), "\n");
    }

    /** Writes the experiment file and runs it into {@code DIR/results/TAG}. */
    Outcome run(String toml, String tag, String... options) throws IOException {
        config(toml);
        List<String> arguments = new ArrayList<>(List.of("run", "DIR/config.toml", tag, "--results", "DIR/results"));
        arguments.addAll(List.of(options));
        return execute(arguments.toArray(String[]::new));
    }

    Path result(String name) {
        return folder.resolve("results").resolve(name);
    }

    JsonNode json(String name) throws IOException {
        return JsonMapper.shared().readTree(Files.readString(result(name)));
    }

    /** The ledger of a run. */
    List<LedgerEntry> ledger(String tag) throws IOException {
        return Ledger.read(result(tag));
    }

    /** What a run wrote to its log. */
    List<String> log(String tag) throws IOException {
        return Files.readAllLines(result(tag + "/log.txt"));
    }

    /** The numbers in a run's {@code metrics.json}. */
    Map<String, Double> metrics(String tag) throws IOException {
        Map<String, Double> metrics = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : json(tag + "/metrics.json").properties()) {
            if (entry.getValue().isNumber()) {
                metrics.put(entry.getKey(), entry.getValue().asDouble());
            }
        }
        return metrics;
    }

    /** The fingerprint of each stage, or how it came about, from a run's manifest. */
    Map<String, String> stages(String tag, String field) throws IOException {
        Map<String, String> found = new TreeMap<>();
        json(tag + "/manifest.json")
                .get("stages")
                .properties()
                .forEach(entry ->
                        found.put(entry.getKey(), entry.getValue().get(field).asString()));
        return found;
    }

    /** The rows of a CSV file below its header, each by its first cell, none of which has a comma. */
    Map<String, String> rows(String name) throws IOException {
        Map<String, String> rows = new TreeMap<>();
        Files.readAllLines(result(name)).stream()
                .skip(1)
                .forEach(line -> rows.put(line.substring(0, line.indexOf(',')), line));
        return rows;
    }
}
