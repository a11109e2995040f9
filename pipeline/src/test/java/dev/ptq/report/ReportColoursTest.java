package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Contrast ratios of the Web Content Accessibility Guidelines: 4.5 for text, 3 for what is drawn. */
class ReportColoursTest {
    @Test
    void everythingStandsOutInLightInDarkAndOnPaper() throws IOException {
        List<Map<String, String>> themes = themes();
        assertThat(themes).hasSize(3);
        for (Map<String, String> theme : themes) {
            for (String text : List.of("ink", "quiet", "link", "chart-text")) {
                assertThat(contrast(theme, text, "page")).as(text).isGreaterThan(4.5);
            }
            assertThat(contrast(theme, "ink", "raised")).isGreaterThan(4.5);
            IntStream.range(0, 7)
                    .forEach(i -> assertThat(contrast(theme, "chart-" + i, "page"))
                            .as("chart-" + i)
                            .isGreaterThan(3));
            IntStream.range(0, 9)
                    .forEach(i -> assertThat(contrast(theme, i < 6 ? "on-low" : "on-high", "h" + i))
                            .as("on h" + i)
                            .isGreaterThan(4.5));
        }
    }

    /** The colours of each block of variables. */
    private static List<Map<String, String>> themes() throws IOException {
        String css;
        try (InputStream in = Objects.requireNonNull(ReportPage.class.getResourceAsStream("report.css"))) {
            css = new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
        List<Map<String, String>> themes = new ArrayList<>();
        Matcher block = Pattern.compile(":root \\{([^}]*)}").matcher(css);
        while (block.find()) {
            Map<String, String> colours = new LinkedHashMap<>();
            Matcher variable =
                    Pattern.compile("--([a-z0-9-]+): (#[0-9a-f]{6});").matcher(block.group(1));
            while (variable.find()) {
                colours.put(variable.group(1), variable.group(2));
            }
            themes.add(colours);
        }
        return themes;
    }

    private static double contrast(Map<String, String> theme, String one, String other) {
        double a = luminance(Objects.requireNonNull(theme.get(one), one));
        double b = luminance(Objects.requireNonNull(theme.get(other), other));
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }

    private static double luminance(String colour) {
        double[] weights = {0.2126, 0.7152, 0.0722};
        double luminance = 0;
        for (int i = 0; i < 3; i++) {
            double part = Integer.parseInt(colour.substring(1 + 2 * i, 3 + 2 * i), 16) / 255.0;
            luminance += weights[i] * (part <= 0.04045 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4));
        }
        return luminance;
    }
}
