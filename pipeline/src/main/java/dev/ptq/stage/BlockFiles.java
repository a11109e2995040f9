package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Where the work on one block is kept until all are done. */
final class BlockFiles {
    private final int index;
    private final Path done;
    private final Path weights;
    private final Path factors;
    private final Path parameters;

    BlockFiles(Path folder, int index) {
        this.index = index;
        done = folder.resolve(RunFiles.block(index));
        weights = folder.resolve("weights-" + index + ".safetensors");
        factors = folder.resolve("factors-" + index + ".safetensors");
        parameters = folder.resolve("parameters-" + index + ".safetensors");
    }

    /** Which block of the model. */
    int index() {
        return index;
    }

    /** Says that the block is done. */
    Path done() {
        return done;
    }

    /** The changed tensors; there if methods changed any. */
    Path weights() {
        return weights;
    }

    /** The low-rank factors. */
    Path factors() {
        return factors;
    }

    /** What was learned; there if anything was. */
    Path parameters() {
        return parameters;
    }

    /** Moves what an artifact has for each block to its place. */
    void moveTo(Path output) throws IOException {
        move(weights, output.resolve(RunFiles.WEIGHTS));
        moveParameters(output);
    }

    void moveParameters(Path output) throws IOException {
        move(parameters, output.resolve(RunFiles.PARAMETERS));
    }

    private void move(Path file, Path folder) throws IOException {
        if (Files.exists(file)) {
            Files.createDirectories(folder);
            Files.move(file, folder.resolve(RunFiles.block(index)));
        }
    }
}
