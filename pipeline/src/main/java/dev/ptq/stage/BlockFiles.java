package dev.ptq.stage;

import dev.ptq.artifact.RunFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The files of one block's work, kept until all blocks are done. */
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

    /** The block's index in the model. */
    int index() {
        return index;
    }

    /** Marks the block as done. */
    Path done() {
        return done;
    }

    /** The changed tensors; exists if methods changed any. */
    Path weights() {
        return weights;
    }

    /** The low-rank factors. */
    Path factors() {
        return factors;
    }

    /** The learned parameters; exists if there are any. */
    Path parameters() {
        return parameters;
    }

    /** Moves the artifact's files for this block to their places. */
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
