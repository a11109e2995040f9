package dev.ptq.chart;

import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/**
 * An axis: its label, its scale, and values it shows beyond those of the chart.
 *
 * @param shown values that are always within its range, so that charts side by side share a scale
 * @param marks the only marked values; if there are none, round ones are chosen
 */
public record Axis(String label, Scale scale, List<Double> shown, List<Double> marks) {
    /** The mapping from values to lengths. */
    public enum Scale {
        LINEAR,
        /** For values above zero. */
        LOGARITHMIC;

        boolean shows(double value) {
            return Double.isFinite(value) && (this == LINEAR || value > 0);
        }

        double length(double value) {
            return this == LINEAR ? value : StrictMath.log10(value);
        }
    }

    public Axis {
        shown = List.copyOf(shown);
        marks = List.copyOf(marks);
        for (double value : Stream.concat(shown.stream(), marks.stream()).toList()) {
            check(scale, label, value, "an end or a mark");
        }
    }

    /** Returns an axis on which equal distances are equal differences. */
    public static Axis linear(String label) {
        return new Axis(label, Scale.LINEAR, List.of(), List.of());
    }

    /** Returns an axis on which equal distances are equal ratios. */
    public static Axis logarithmic(String label) {
        return new Axis(label, Scale.LOGARITHMIC, List.of(), List.of());
    }

    /** Returns the axis with these values in its range too. */
    public Axis showing(double... values) {
        List<Double> all =
                Stream.concat(shown.stream(), DoubleStream.of(values).boxed()).toList();
        return new Axis(label, scale, all, marks);
    }

    /** Returns the axis with marks at these values only. */
    public Axis marking(List<Double> values) {
        return new Axis(label, scale, shown, values);
    }

    void check(double value, String what) {
        check(scale, label, value, what);
    }

    private static void check(Scale scale, String label, double value, String what) {
        if (!scale.shows(value)) {
            throw new IllegalArgumentException(what + ": " + value + " is not on the axis \"" + label + "\"");
        }
    }
}
