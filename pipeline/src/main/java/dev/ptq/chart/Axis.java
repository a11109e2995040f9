package dev.ptq.chart;

/** What an axis is called and how its values are spread. */
public record Axis(String label, Scale scale) {
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

    /** An axis on which equal distances are equal differences. */
    public static Axis linear(String label) {
        return new Axis(label, Scale.LINEAR);
    }

    /** An axis on which equal distances are equal ratios. */
    public static Axis logarithmic(String label) {
        return new Axis(label, Scale.LOGARITHMIC);
    }
}
