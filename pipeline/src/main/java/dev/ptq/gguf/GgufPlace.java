package dev.ptq.gguf;

import java.util.List;

/**
 * Where the values of a model's tensor are.
 *
 * @param tensor in the file
 * @param shape of the model's tensor, which may be a part of the one in the file
 * @param firstRow of that part, where all dimensions but the last are counted as one
 * @param headDim the rows of a head if its rotated pairs lie side by side, not in its two halves; 0 if rows are as the
 *     model has them
 * @param minusOne whether one is to be taken away from the values
 */
public record GgufPlace(GgufTensor tensor, List<Long> shape, long firstRow, int headDim, boolean minusOne) {
    public GgufPlace {
        shape = List.copyOf(shape);
    }

    /** The whole tensor as it is. */
    static GgufPlace of(GgufTensor tensor) {
        return new GgufPlace(tensor, tensor.shape(), 0, 0, false);
    }

    GgufPlace withPairs(int dim) {
        return new GgufPlace(tensor, shape, firstRow, dim, minusOne);
    }

    GgufPlace lessOne() {
        return new GgufPlace(tensor, shape, firstRow, headDim, true);
    }

    /** The row in the file, or the value of a vector, of one of the model's. */
    public int fileRow(int row) {
        if (headDim == 0) {
            return Math.toIntExact(firstRow + row);
        }
        int within = row % headDim;
        int half = headDim / 2;
        int turned = row - within + 2 * (within % half) + within / half;
        return Math.toIntExact(firstRow + turned);
    }
}
