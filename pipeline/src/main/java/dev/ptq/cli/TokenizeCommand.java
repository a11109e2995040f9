package dev.ptq.cli;

import dev.ptq.data.Tokenizer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import tools.jackson.databind.json.JsonMapper;

/** The command {@code ptq tokenize (FILE | --text TEXT)}. */
@Command(
        name = "tokenize",
        mixinStandardHelpOptions = true,
        description =
                "Prints the tokens of a text, one per line, with tabs between: id, first character and the one after"
                        + " the last in the text (Unicode characters, from 0), and the piece as the vocabulary spells it, in"
                        + " JSON. The number of tokens comes last, on stderr.")
final class TokenizeCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @ArgGroup(multiplicity = "1")
    Source source = new Source();

    /** Where the text is. */
    static final class Source {
        @Parameters(paramLabel = "FILE", description = "a text file, UTF-8")
        @Nullable
        Path file;

        @Option(names = "--text", paramLabel = "TEXT", description = "the text itself")
        @Nullable
        String text;

        String read() throws IOException {
            if (text != null) {
                return text;
            }
            Path input = Objects.requireNonNull(file);
            InputFile.require(input);
            return Files.readString(input);
        }
    }

    @Mixin
    ModelOption model;

    @Option(names = "--special", description = "with the special tokens that the tokenizer adds, such as a start token")
    boolean special;

    @Override
    public Integer call() throws IOException {
        String text = source.read();
        Path place = model.tokenizer(model.folder());
        PrintWriter out = spec.commandLine().getOut();
        try (Tokenizer tokenizer = Tokenizer.open(place)) {
            int count = 0;
            for (Tokenizer.Piece piece : tokenizer.pieces(text, special)) {
                out.printf(
                        "%d\t%d\t%d\t%s%n",
                        piece.id(),
                        piece.from(),
                        piece.to(),
                        JsonMapper.shared().writeValueAsString(piece.text()));
                count++;
            }
            out.flush();
            spec.commandLine().getErr().println(count + (count == 1 ? " token" : " tokens"));
            spec.commandLine().getErr().flush();
        }
        return 0;
    }
}
