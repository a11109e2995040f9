package dev.ptq.method;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import dev.ptq.tensor.NativeFloats;

/** A tensor that training updates. Not a record, since it holds a tensor. */
final class Parameter {
    private final String name;
    private NDArray tensor;
    private final double rate;

    /**
     * Makes a parameter of a block.
     *
     * @param name in files, unique in a block, such as {@code q_proj.upper}
     * @param tensor float32, contiguous
     * @param rate its learning rate
     */
    Parameter(String name, NDArray tensor, double rate) {
        this.name = name;
        this.tensor = tensor;
        this.rate = rate;
    }

    String name() {
        return name;
    }

    NDArray tensor() {
        return tensor;
    }

    double rate() {
        return rate;
    }

    /** Converts the values to another type; float64 is for checks against differences. */
    void convert(DataType type) {
        NDArray converted = tensor.toType(type, true);
        tensor.close();
        tensor = converted;
    }

    /** Returns a copy of the values. */
    float[] values() {
        float[] values = new float[Math.toIntExact(tensor.size())];
        NativeFloats.window(tensor).get(values);
        return values;
    }

    /** Sets the values. */
    void set(float[] values) {
        NativeFloats.writableWindow(tensor).put(values);
    }
}
