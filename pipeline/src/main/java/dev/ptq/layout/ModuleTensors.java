package dev.ptq.layout;

import dev.ptq.weights.Checkpoint;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** The tensors of one module. Each is checked before use, and the module's layout has to know all of them. */
final class ModuleTensors {
    private final Checkpoint checkpoint;
    private final String module;
    private final Set<String> present;
    private final Set<String> used = new LinkedHashSet<>();

    ModuleTensors(Checkpoint checkpoint, String module, Set<String> present) {
        this.checkpoint = checkpoint;
        this.module = module;
        this.present = present;
    }

    String module() {
        return module;
    }

    boolean has(String suffix) {
        return present.contains(suffix);
    }

    /** Returns whether there is any tensor but this one. */
    boolean hasBesides(String suffix) {
        return present.size() > (has(suffix) ? 1 : 0);
    }

    /** Returns the names of all of them. */
    List<String> names() {
        return present.stream().map(this::name).toList();
    }

    String name(String suffix) {
        return module + "." + suffix;
    }

    private Safetensors file(String suffix) throws IOException {
        if (!has(suffix)) {
            throw new IOException(
                    name(suffix) + ": there is no such tensor, and without it the other tensors of the module," + " "
                            + present + ", have no values");
        }
        used.add(suffix);
        return checkpoint.file(name(suffix));
    }

    StoredType type(String suffix) throws IOException {
        return file(suffix).rawType(name(suffix));
    }

    List<Long> shape(String suffix) throws IOException {
        Safetensors file = file(suffix);
        return Objects.requireNonNull(file.entries().get(name(suffix))).shape();
    }

    /** Returns the length of one side of a matrix, which is at least 1. */
    int side(String suffix, int dimension) throws IOException {
        List<Long> shape = shape(suffix);
        if (shape.size() != 2 || shape.get(0) < 1 || shape.get(1) < 1 || shape.get(dimension) >= 1 << 24) {
            throw wrong(suffix, "expected a matrix", shape);
        }
        return Math.toIntExact(shape.get(dimension));
    }

    /** Checks a tensor's type and shape, from the header of its file. */
    void require(String suffix, StoredType type, long... shape) throws IOException {
        StoredType found = type(suffix);
        List<Long> expected = Arrays.stream(shape).boxed().toList();
        if (found != type || !shape(suffix).equals(expected)) {
            throw wrong(suffix, "expected " + type + " " + expected, found + " " + shape(suffix));
        }
    }

    /** Returns a tensor as it is stored, with this type and shape. */
    ByteBuffer raw(String suffix, StoredType type, long... shape) throws IOException {
        require(suffix, type, shape);
        return tensor(suffix).bytes();
    }

    /** Returns a tensor of any type and shape. */
    RawTensor tensor(String suffix) throws IOException {
        return file(suffix).raw(name(suffix));
    }

    /** Returns rows of a matrix as they are stored. */
    ByteBuffer rows(String suffix, int from, int to) throws IOException {
        return file(suffix).rawRows(name(suffix), from, to).bytes();
    }

    /** Returns finite numbers of any floating point type, widened to float32. */
    float[] floats(String suffix, long... shape) throws IOException {
        StoredType type = type(suffix);
        List<Long> expected = Arrays.stream(shape).boxed().toList();
        if (!type.isFloat() || !shape(suffix).equals(expected)) {
            throw wrong(suffix, "expected F32, F16 or BF16 " + expected, type + " " + shape(suffix));
        }
        float[] values = file(suffix).floats(name(suffix));
        for (int i = 0; i < values.length; i++) {
            if (!Float.isFinite(values[i])) {
                throw new IOException(name(suffix) + ": has " + values[i] + " at " + i + "; the checkpoint is damaged");
            }
        }
        return values;
    }

    /** The same, none of which is negative. */
    float[] scales(String suffix, long... shape) throws IOException {
        float[] values = floats(suffix, shape);
        for (int i = 0; i < values.length; i++) {
            if (values[i] < 0) {
                throw new IOException(name(suffix) + ": expected no negative scale, got " + values[i] + " at " + i);
            }
        }
        return values;
    }

    /** Returns one positive number, in a tensor of one value. */
    float scalar(String suffix) throws IOException {
        List<Long> shape = shape(suffix);
        if (!shape.isEmpty() && !shape.equals(List.of(1L)) && !shape.equals(List.of(1L, 1L))) {
            throw wrong(suffix, "expected one value", shape);
        }
        float value = floats(suffix, shape.stream().mapToLong(Long::longValue).toArray())[0];
        if (!(value > 0)) {
            throw new IOException(name(suffix) + ": expected a positive number, got " + value);
        }
        return value;
    }

    IOException wrong(String suffix, String expected, Object found) {
        return new IOException(name(suffix) + ": " + expected + ", got " + found);
    }

    /** Returns the bits of the tensors that have been used, but for those of inputs. */
    double bits() throws IOException {
        double bits = 0;
        for (String suffix : used) {
            if (!suffix.startsWith("input_")) {
                bits += 8.0
                        * Objects.requireNonNull(file(suffix).entries().get(name(suffix)))
                                .bytes();
            }
        }
        return bits;
    }

    /** Rejects tensors that the layout has not used. */
    void finish(String label) throws IOException {
        Set<String> unused = new LinkedHashSet<>(present);
        unused.removeAll(used);
        if (!unused.isEmpty()) {
            throw new IOException(name(unused.iterator().next())
                    + ": there is no place for such a tensor in a linear that config.json describes as " + label);
        }
    }
}
