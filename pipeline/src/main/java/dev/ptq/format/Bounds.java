package dev.ptq.format;

/** The smallest and the largest value of a range; both finite. */
public record Bounds(float low, float high) {
    public Bounds {
        if (!(low <= high && Float.isFinite(low) && Float.isFinite(high))) {
            throw new IllegalArgumentException("no such range: from " + low + " to " + high);
        }
    }

    /** Returns the larger magnitude of both ends. */
    float largestMagnitude() {
        return Math.max(Math.abs(low), Math.abs(high));
    }
}
