package dev.ptq.cli;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import dev.ptq.config.ConfigException;
import dev.ptq.config.Given;
import dev.ptq.format.Formats;
import dev.ptq.format.NumberFormat;
import dev.ptq.format.Operand;
import dev.ptq.tensor.NativeFloats;
import dev.ptq.tensor.TensorEngine;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq quantize-tensor IN OUT --format TABLE}. */
@Command(
        name = "quantize-tensor",
        mixinStandardHelpOptions = true,
        description = "Rounds every tensor of a safetensors file to a format and back, and prints the error of each.")
final class QuantizeTensorCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(index = "0", paramLabel = "IN.safetensors", description = "the tensors")
    Path in;

    @Parameters(index = "1", paramLabel = "OUT.safetensors", description = "the rounded tensors, under the same names")
    Path out;

    @Option(
            names = "--format",
            required = true,
            paramLabel = "TABLE",
            description = "an inline table as in a config, such as '{ format = \"mxint\", bits = 4 }'")
    String format;

    @Option(
            names = "--skip-first-dim",
            description = "blocks do not reach across the first dimension; of more than two it never does")
    boolean skipFirst;

    @Override
    public Integer call() throws IOException {
        InputFile.require(in);
        OutputFile.require(out);
        NumberFormat numbers = Formats.parse(format, "--format", Formats.Use.TENSOR);
        PrintWriter print = spec.commandLine().getOut();
        try (Safetensors tensors = Given.of(() -> Safetensors.open(in));
                NDManager manager = TensorEngine.newManager()) {
            if (skipFirst) {
                requireDimensions(tensors);
            }
            requireShapes(tensors, numbers);
            Map<String, NDArray> rounded = new LinkedHashMap<>();
            print.printf(
                    Locale.ROOT,
                    "%-40s %-18s %12s %12s %12s%n",
                    "tensor",
                    "shape",
                    "bits/value",
                    "rel. error",
                    "max error");
            for (String name : tensors.entries().keySet()) {
                NDArray values = Given.of(() -> tensors.load(manager, name));
                Shape blocked = blocked(values.getShape());
                float[] before = values.toFloatArray();
                numbers.round(NativeFloats.writableWindow(values), blocked, Operand.WEIGHT);
                rounded.put(name, values);
                report(print, name, before, values, numbers.storageBits(blocked, Operand.WEIGHT));
            }
            SafetensorsWriter.write(out, rounded, Map.of());
        }
        print.flush();
        return 0;
    }

    /** Returns the shape to cut into blocks: one row per entry of the first dimension, or as it is. */
    private Shape blocked(Shape shape) {
        return skipFirst && shape.dimension() == 2 ? new Shape(shape.get(0), 1, shape.get(1)) : shape;
    }

    /** A vector has no dimension to leave out. */
    private void requireDimensions(Safetensors tensors) {
        List<String> vectors = tensors.entries().entrySet().stream()
                .filter(tensor -> tensor.getValue().shape().size() < 2)
                .map(Map.Entry::getKey)
                .toList();
        if (!vectors.isEmpty()) {
            throw new ConfigException("--skip-first-dim: expected tensors of two dimensions or more, in " + in + " "
                    + vectors.size() + " have fewer: " + vectors.get(0) + (vectors.size() > 1 ? ", …" : "")
                    + "; leave the option out, or them");
        }
    }

    private void requireShapes(Safetensors tensors, NumberFormat numbers) {
        tensors.entries().forEach((name, tensor) -> {
            long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
            numbers.refusal(new Shape(shape)).ifPresent(refusal -> {
                throw new ConfigException("--format: " + name + " of " + in + ": " + refusal);
            });
        });
    }

    private static void report(PrintWriter print, String name, float[] before, NDArray rounded, double storageBits) {
        FloatBuffer after = NativeFloats.window(rounded);
        double squares = 0;
        double errors = 0;
        double largest = 0;
        for (int i = 0; i < before.length; i++) {
            double error = Math.abs((double) before[i] - after.get(i));
            squares += (double) before[i] * before[i];
            errors += error * error;
            largest = Math.max(largest, error);
        }
        print.printf(
                Locale.ROOT,
                "%-40s %-18s %12.3f %12.4e %12.4e%n",
                name,
                rounded.getShape(),
                before.length == 0 ? 0 : storageBits / before.length,
                squares == 0 ? 0 : Math.sqrt(errors / squares),
                largest);
    }
}
