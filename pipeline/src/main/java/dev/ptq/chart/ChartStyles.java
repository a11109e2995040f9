package dev.ptq.chart;

import java.awt.Color;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * The styles shared by all charts in a page: each is written once, as a class, and uses the page's colours, the
 * variables {@code --chart-text} and {@code --chart-0} to {@code --chart-6}.
 */
public final class ChartStyles {
    private static final Pattern STYLE = Pattern.compile(" style='([^']*)'");

    /** Classes by style. */
    private final Map<String, String> classes = new LinkedHashMap<>();

    /** Returns a chart as a fragment of the page. */
    public String embed(Chart chart) {
        return STYLE.matcher(chart.svg()).replaceAll(style -> {
            String name = classes.computeIfAbsent(style.group(1), text -> "k" + classes.size());
            return " class='" + name + "'";
        });
    }

    /** Returns the CSS rules for all charts embedded so far. */
    public String css() {
        StringBuilder css = new StringBuilder();
        classes.forEach((style, name) -> css.append('.')
                .append(name)
                .append('{')
                .append(variables(style))
                .append("}\n"));
        return css.toString();
    }

    private static String variables(String style) {
        String themed = style.replace(rgb(Drawing.TEXT), "var(--chart-text)");
        for (int i = 0; i < Drawing.COLORS.size(); i++) {
            themed = themed.replace(rgb(Drawing.color(i)), "var(--chart-" + i + ")");
        }
        return themed;
    }

    private static String rgb(Color color) {
        return "rgb(" + color.getRed() + "," + color.getGreen() + "," + color.getBlue() + ")";
    }
}
