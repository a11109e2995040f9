package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.environment.MachineMemory;
import dev.ptq.tensor.Parallel;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The program {@code ptq}. */
@Command(
        name = "ptq",
        description = "Experiments with post-training quantization of language models.",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        subcommands = {
            RunCommand.class,
            ValidateCommand.class,
            SweepCommand.class,
            LaunchedCommand.class,
            SensitivityCommand.class,
            AllocateCommand.class,
            QuantizeTensorCommand.class,
            SampleCommand.class,
            TokenizeCommand.class,
            CollectCommand.class,
            ReportCommand.class,
            TrackCommand.class,
            ImportLqerCommand.class,
            FetchCommand.class,
            ListCommand.class,
            CacheCommand.class,
            VerifyCommand.class,
            ReproduceCommand.class,
            CompareCommand.class,
            ExportCommand.class,
            CommandLine.HelpCommand.class
        },
        synopsisSubcommandLabel = "COMMAND",
        exitCodeListHeading = "Exit codes:%n",
        exitCodeList = {"0:done", "1:failed", "2:the input is wrong"})
public final class Ptq {
    private static final Logger log = LoggerFactory.getLogger(Ptq.class);

    /** Runs one command and exits with its code. */
    public static void main(String[] arguments) {
        run(new Ptq(), arguments);
    }

    /** Runs a command, this program's or another, and exits with its code. */
    public static void run(Object command, String[] arguments) {
        CommandLine commandLine = commandLine(command);
        Optional<String> problem = Parallel.problem().or(MachineMemory::problem);
        problem.ifPresent(commandLine.getErr()::println);
        int code = problem.isPresent() ? CommandLine.ExitCode.USAGE : commandLine.execute(arguments);
        System.out.flush();
        System.exit(code);
    }

    /** Returns a command with the program's error handling. */
    public static CommandLine commandLine(Object command) {
        CommandLine commandLine = new CommandLine(command);
        commandLine.setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8));
        commandLine.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8));
        commandLine.setExecutionExceptionHandler((exception, failed, parsed) -> {
            PrintWriter err = failed.getErr();
            if (exception instanceof ConfigException problems) {
                problems.problems().forEach(err::println);
                return CommandLine.ExitCode.USAGE;
            }
            if (exception instanceof IOException || exception instanceof UncheckedIOException) {
                err.println(failed.getCommandSpec().root().name() + ": " + reason(exception));
                return CommandLine.ExitCode.SOFTWARE;
            }
            log.error("this is a defect of ptq", exception);
            return CommandLine.ExitCode.SOFTWARE;
        });
        return commandLine;
    }

    private static String reason(Exception exception) {
        Throwable cause = exception instanceof UncheckedIOException wrapped && wrapped.getCause() != null
                ? wrapped.getCause()
                : exception;
        if (cause instanceof NoSuchFileException missing) {
            return missing.getFile() + ": no such file";
        }
        if (cause instanceof FileAlreadyExistsException present) {
            return present.getFile() + ": expected a directory, found something else of that name";
        }
        if (cause instanceof AccessDeniedException denied) {
            return denied.getFile() + ": access denied";
        }
        if (cause instanceof FileSystemException failed && failed.getReason() != null) {
            return failed.getFile() + ": " + failed.getReason();
        }
        return String.valueOf(cause.getMessage());
    }
}
