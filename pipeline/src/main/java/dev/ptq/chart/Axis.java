package dev.ptq.chart;

import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

/**
 * What an axis is called, how its values are spread, and which it shows beside those of the chart.
 *
 * @param shown values that are within its range, whatever the chart's are: charts side by side have the same scale so
 * @param marks the only values that it names; where there are none, it finds round ones
 */
public record Axis(String label, Scale scale, List<Double> shown, List<Double> marks) {
    /** How values become lengths. */
    public enum Scale {
        LINEAR,
        /** Of values above zero. */
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

    /** An axis on which equal distances are equal differences. */
    public static Axis linear(String label) {
        return new Axis(label, Scale.LINEAR, List.of(), List.of());
    }

    /** An axis on which equal distances are equal ratios. */
    public static Axis logarithmic(String label) {
        return new Axis(label, Scale.LOGARITHMIC, List.of(), List.of());
    }

    /** The axis with these values in its range too. */
    public Axis showing(double... values) {
        List<Double> all =
                Stream.concat(shown.stream(), DoubleStream.of(values).boxed()).toList();
        return new Axis(label, scale, all, marks);
    }

    /** The axis with marks at these values only. */
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
