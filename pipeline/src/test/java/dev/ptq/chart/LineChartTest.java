package dev.ptq.chart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
import dev.ptq.chart.LineChart.Size;
import java.awt.Color;
import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

class LineChartTest {
    private static final Axis TOKENS = Axis.linear("tokens <so far> & \"all\"");
    private static final Axis LOSS = Axis.logarithmic("loss");

    @Test
    void drawsEverySeriesWithItsName() throws Exception {
        List<Series> series = List.of(
                series("training", 0, 200),
                LineChart.line("wiki & \"others\" <é>", 1, List.of(new Point(5, 3, "a <b>"), new Point(90, 2))));
        Document svg = parse(chart(TOKENS, LOSS, series).svg());
        List<Element> lines = groups(svg, "series");
        assertThat(lines).hasSize(2);
        for (int i = 0; i < 2; i++) {
            assertThat(texts(lines.get(i), "title"))
                    .containsExactly(series.get(i).name());
            assertThat(points(lines.get(i))).hasSize(series.get(i).points().size());
        }
        assertThat(texts(svg.getDocumentElement(), "text"))
                .contains("tokens <so far> & \"all\"", "loss", "training", "wiki & \"others\" <é>", "100", "10");
        // only the short one
        assertThat(groups(svg, "mark")).hasSize(2);
        assertThat(texts(groups(svg, "mark").get(0), "title")).containsExactly("a <b>");
    }

    @Test
    void putsPointsWhereTheirValuesAre() throws Exception {
        List<Point> points = List.of(new Point(0, 1), new Point(1, 10), new Point(2, 100));
        Document svg = parse(chart(Axis.linear("x"), Axis.logarithmic("y"), List.of(LineChart.line("s", 0, points)))
                .svg());
        List<double[]> drawn = points(groups(svg, "series").get(0));
        // the middle one is in the middle, to the tenth that is written; y grows downwards
        for (int axis = 0; axis < 2; axis++) {
            assertThat(drawn.get(1)[axis]).isCloseTo((drawn.get(0)[axis] + drawn.get(2)[axis]) / 2, within(0.1));
        }
        assertThat(drawn.get(2)[0]).isGreaterThan(drawn.get(0)[0]);
        assertThat(drawn.get(2)[1]).isLessThan(drawn.get(0)[1]);
    }

    @Test
    void marksAreWhereTheLineIs() throws Exception {
        List<Point> points = List.of(new Point(3, 1), new Point(1, 10), new Point(2, 100));
        Document svg = parse(chart(Axis.linear("x"), Axis.linear("y"), List.of(LineChart.line("s", 0, points)))
                .svg());
        List<double[]> line = points(groups(svg, "series").get(0));
        List<Element> marks = groups(svg, "mark");
        assertThat(marks).hasSize(3);
        for (int i = 0; i < 3; i++) {
            double[] circle =
                    numbers(((Element) marks.get(i).getElementsByTagName("path").item(0)).getAttribute("d"));
            for (int axis = 0; axis < 2; axis++) {
                int odd = axis;
                double[] values = IntStream.range(0, circle.length)
                        .filter(at -> at % 2 == odd)
                        .mapToDouble(at -> circle[at])
                        .sorted()
                        .toArray();
                assertThat((values[0] + values[values.length - 1]) / 2).isCloseTo(line.get(i)[axis], within(0.1));
            }
        }
    }

    @Test
    void anAxisNamesTheMarksAndShowsTheValuesItIsGiven() throws Exception {
        Axis ranks = Axis.logarithmic("rank").marking(List.of(8.0, 16.0, 32.0));
        Axis shared = Axis.linear("y").showing(0, 500);
        Document svg =
                parse(chart(ranks, shared, List.of(LineChart.line("s", 0, List.of(new Point(8, 3), new Point(32, 4)))))
                        .svg());
        assertThat(texts(svg.getDocumentElement(), "text"))
                .contains("8", "16", "32", "500")
                .doesNotContain("10", "20");
    }

    @ParameterizedTest
    @EnumSource(Size.class)
    void keepsEverythingWithinTheDrawing(Size size) throws Exception {
        List<Series> many = IntStream.range(0, size == Size.SMALL ? 2 : 20)
                .mapToObj(i -> series("series " + i, i, 3))
                .toList();
        Document svg = parse(new LineChart("t", TOKENS, LOSS, many, size).svg());
        double width = Double.parseDouble(svg.getDocumentElement().getAttribute("width"));
        double height = Double.parseDouble(svg.getDocumentElement().getAttribute("height"));
        for (Element text : elements(svg, "text")) {
            assertThat(Double.parseDouble(text.getAttribute("x"))).isBetween(0.0, width);
            assertThat(Double.parseDouble(text.getAttribute("y"))).isBetween(8.0, height);
        }
        for (Element line : groups(svg, "series")) {
            for (double[] point : points(line)) {
                assertThat(point[0]).isBetween(0.0, width);
                assertThat(point[1]).isBetween(0.0, height);
            }
        }
        assertThat(texts(svg.getDocumentElement(), "text").contains("series 1")).isEqualTo(size != Size.SMALL);
    }

    @Test
    void tellsManySeriesApart() throws Exception {
        List<Series> many = IntStream.range(0, 20)
                .mapToObj(i -> series("series " + i, i, 3))
                .toList();
        List<String> looks = groups(parse(chart(TOKENS, LOSS, many).svg()), "series").stream()
                .map(group -> ((Element) group.getElementsByTagName("g").item(0)).getAttribute("style"))
                .toList();
        assertThat(looks).hasSize(20).doesNotHaveDuplicates();
    }

    @Test
    void textThatXmlCannotHaveIsLeftOut() throws Exception {
        String hostile = "a\u0000b\uFFFF\uD800</text><script>alert(1)</script>&'\"" + "x".repeat(10_000);
        Document svg = parse(new LineChart(
                        hostile,
                        Axis.linear(hostile),
                        Axis.linear("y"),
                        List.of(LineChart.line(hostile, 0, List.of(new Point(1, 1, hostile)))),
                        Size.MEDIUM)
                .svg());
        assertThat(elements(svg, "script")).isEmpty();
        assertThat(texts(svg.getDocumentElement(), "title"))
                .hasSize(3)
                .allMatch(title -> title.startsWith("a b  </text><script>alert(1)</script>"))
                .allMatch(title -> title.length() == 300);
    }

    /** Contrast ratios of the Web Content Accessibility Guidelines, which ask for 3 of what is drawn. */
    @Test
    void standsOutFromLightAndDark() {
        List<Color> colors = new ArrayList<>(Drawing.COLORS);
        colors.add(Drawing.TEXT);
        for (Color each : colors) {
            String color = String.format(Locale.ROOT, "#%06x", each.getRGB() & 0xFFFFFF);
            assertThat(contrast("#ffffff", color)).as(color).isGreaterThan(3.7);
            assertThat(contrast(color, "#0d1117")).as(color).isGreaterThan(3.7);
        }
    }

    @Test
    void drawsTheSameInEveryLocale() {
        LineChart chart = chart(TOKENS, LOSS, List.of(series("s", 0, 20)));
        String here = chart.svg();
        Locale before = Locale.getDefault();
        try {
            Locale.setDefault(Locale.forLanguageTag("ar-EG"));
            assertThat(chart.svg()).isEqualTo(here);
        } finally {
            Locale.setDefault(before);
        }
    }

    @Test
    void refusesWhatItCannotDraw() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> chart(TOKENS, LOSS, List.of(LineChart.line("s", 0, List.of()))))
                .withMessage("a chart needs at least one point");
        for (double wrong : new double[] {Double.NaN, Double.POSITIVE_INFINITY, 0, -1}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() ->
                            chart(TOKENS, LOSS, List.of(LineChart.line("s", 0, List.of(new Point(1, wrong))))))
                    .withMessage("s: " + wrong + " is not on the axis \"loss\"");
        }
    }

    private static LineChart chart(Axis x, Axis y, List<Series> series) {
        return new LineChart("title", x, y, series, Size.WIDE);
    }

    private static Series series(String name, int color, int points) {
        return LineChart.line(
                name,
                color,
                IntStream.range(0, points)
                        .mapToObj(i -> new Point(i, 9.0 / (i + 1)))
                        .toList());
    }

    /** What stands for series or for points. */
    private static List<Element> groups(Document svg, String name) {
        return elements(svg, "g").stream()
                .filter(group -> group.getAttribute("class").equals(name))
                .toList();
    }

    /** The corners of the path in a group. */
    private static List<double[]> points(Element group) {
        String path = ((Element) group.getElementsByTagName("path").item(0)).getAttribute("d");
        double[] numbers = numbers(path);
        return IntStream.range(0, numbers.length / 2)
                .mapToObj(i -> new double[] {numbers[2 * i], numbers[2 * i + 1]})
                .toList();
    }

    private static double[] numbers(String path) {
        return Stream.of(path.replaceAll("[A-Z]", " ").strip().split("[ ,]+", -1))
                .mapToDouble(Double::parseDouble)
                .toArray();
    }

    private static double contrast(String lighter, String darker) {
        return (luminance(lighter) + 0.05) / (luminance(darker) + 0.05);
    }

    private static double luminance(String color) {
        double[] weights = {0.2126, 0.7152, 0.0722};
        double luminance = 0;
        for (int i = 0; i < 3; i++) {
            double part = Integer.parseInt(color.substring(1 + 2 * i, 3 + 2 * i), 16) / 255.0;
            luminance += weights[i] * (part <= 0.03928 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4));
        }
        return luminance;
    }

    private static Document parse(String svg) throws ParserConfigurationException, IOException, SAXException {
        return DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(new InputSource(new StringReader(svg)));
    }

    private static List<Element> elements(Document document, String name) {
        return elements(document.getDocumentElement(), name);
    }

    private static List<Element> elements(Element parent, String name) {
        return IntStream.range(0, parent.getElementsByTagName(name).getLength())
                .mapToObj(i -> (Element) parent.getElementsByTagName(name).item(i))
                .toList();
    }

    private static List<String> texts(Element parent, String name) {
        return elements(parent, name).stream().map(Element::getTextContent).toList();
    }
}
