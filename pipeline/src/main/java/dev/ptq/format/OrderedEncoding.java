package dev.ptq.format;

import ai.djl.ndarray.types.Shape;
import dev.ptq.weights.RawTensor;
import dev.ptq.weights.StoredType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.Map;

/** An encoding whose blocks lie over the columns of a matrix in another order. */
final class OrderedEncoding implements Encoding {
    /** The part with the order. */
    static final String ORDER = "column_order";

    private final Encoding encoding;
    private final int[] order;
    private final int[] place;

    /**
     * Makes an encoding.
     *
     * @param encoding over the columns in the order of blocks
     * @param order of these, the column of each place
     */
    OrderedEncoding(Encoding encoding, int[] order) {
        this.encoding = encoding;
        this.order = order.clone();
        place = new int[order.length];
        for (int i = 0; i < order.length; i++) {
            place[order[i]] = i;
        }
    }

    static OrderedEncoding read(Encoding encoding, Shape shape, Parts parts) throws IOException {
        int columns = (int) shape.get(shape.dimension() - 1);
        ByteBuffer stored = parts.require(ORDER, StoredType.I32, columns);
        int[] order = new int[columns];
        boolean[] isTaken = new boolean[columns];
        for (int i = 0; i < columns; i++) {
            order[i] = stored.getInt(Integer.BYTES * i);
            if (order[i] < 0 || order[i] >= columns || isTaken[order[i]]) {
                throw parts.wrong(ORDER, "each column once", order[i] + " at " + i);
            }
            isTaken[order[i]] = true;
        }
        return new OrderedEncoding(encoding, order);
    }

    private int inner(int index) {
        int column = index % order.length;
        return index - column + place[column];
    }

    @Override
    public int bits() {
        return encoding.bits();
    }

    @Override
    public boolean signed() {
        return encoding.signed();
    }

    @Override
    public void round(FloatBuffer values) {
        for (int i = 0; i < values.capacity(); i++) {
            values.put(i, rounded(values.get(i), i));
        }
    }

    @Override
    public float rounded(float value, int index) {
        return encoding.rounded(value, inner(index));
    }

    @Override
    public void take(Encoding other, int from, int to) {
        encoding.take(other, from, to);
    }

    @Override
    public int code(float rounded, int index) {
        return encoding.code(rounded, inner(index));
    }

    @Override
    public float value(int code, int index) {
        return encoding.value(code, inner(index));
    }

    @Override
    public Map<String, RawTensor> parts() {
        Map<String, RawTensor> parts = new LinkedHashMap<>(encoding.parts());
        parts.put(ORDER, RawTensor.of(order, order.length));
        return parts;
    }

    @Override
    public float[] scales() {
        return encoding.scales();
    }

    @Override
    public int[] zeroPoints() {
        return encoding.zeroPoints();
    }

    @Override
    public int[] exponents() {
        return encoding.exponents();
    }
}
