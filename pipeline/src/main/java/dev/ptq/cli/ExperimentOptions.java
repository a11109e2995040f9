package dev.ptq.cli;

import dev.ptq.config.Assignment;
import dev.ptq.config.ConfigFiles;
import dev.ptq.experiment.Downloads;
import dev.ptq.hub.Hub;
import dev.ptq.stage.Experiment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Stack;
import picocli.CommandLine;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;

/** The options that all commands on an experiment file share. */
final class ExperimentOptions {
    static final String CONFIG = "the experiment file, TOML";

    @Option(
            names = "--set",
            paramLabel = "KEY=VALUE",
            description = "replace a value of the file, such as quantization.weight.bits=3; may be repeated. A bare"
                    + " KEY=VALUE does the same")
    List<String> overrides = new ArrayList<>();

    @Option(
            names = "--unset",
            paramLabel = "KEY",
            parameterConsumer = Unset.class,
            description = "leave a key of the file out, such as quantization.bias; may be repeated, and is done in"
                    + " the order of the options")
    List<String> unset = new ArrayList<>();

    @Mixin
    ResultsOption results;

    @Mixin
    OnlineOption online;

    /** Puts the keys among the other changes, in the order of the command line. */
    static final class Unset implements CommandLine.IParameterConsumer {
        @Override
        @SuppressWarnings("JdkObsolete") // picocli's type
        public void consumeParameters(Stack<String> arguments, ArgSpec option, CommandSpec command) {
            if (arguments.isEmpty()) {
                throw new CommandLine.ParameterException(
                        command.commandLine(), "Missing required parameter for option '--unset' (KEY)");
            }
            arguments.push("--set=" + Assignment.unset(arguments.pop()));
        }
    }

    /** Lets a bare {@code KEY=VALUE} stand for {@code --set KEY=VALUE}. */
    static final class BareOverrides implements CommandLine.IParameterPreprocessor {
        @Override
        @SuppressWarnings("JdkObsolete") // picocli's type
        public boolean preprocess(
                Stack<String> arguments, CommandSpec command, ArgSpec option, java.util.Map<String, Object> info) {
            List<String> inOrder = new ArrayList<>(arguments);
            Collections.reverse(inOrder);
            boolean isValue = false;
            for (int i = 0; i < inOrder.size(); i++) {
                String argument = inOrder.get(i);
                if (argument.equals("--")) {
                    break;
                }
                if (!isValue && !argument.startsWith("-") && Assignment.isOverride(argument)) {
                    inOrder.set(i, "--set=" + argument);
                }
                OptionSpec named = command.findOption(argument);
                isValue = !isValue && named != null && named.arity().max() > 0;
            }
            arguments.clear();
            Collections.reverse(inOrder);
            arguments.addAll(inOrder);
            return false;
        }
    }

    /** Reads a config and those that it extends. */
    ConfigFiles files(Path config) throws IOException {
        InputFile.require(config);
        return ConfigFiles.read(config);
    }

    Experiment read(ConfigFiles files) throws IOException {
        fetch(files, List.of());
        return Experiment.read(files, overrides, List.of());
    }

    /** Fetches the experiment's missing inputs, if the user allows it. */
    void fetch(ConfigFiles files, List<Assignment> assignments) throws IOException {
        Optional<Hub> hub = online.hub();
        if (hub.isPresent()) {
            new Downloads(hub.get()).fetch(files, overrides, assignments);
        }
    }
}
