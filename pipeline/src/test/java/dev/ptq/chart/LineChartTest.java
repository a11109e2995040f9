package dev.ptq.chart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.chart.LineChart.Point;
import dev.ptq.chart.LineChart.Series;
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
                series("training", 200),
                new Series("wiki & \"others\" <é>", List.of(new Point(5, 3), new Point(90, 2))));
        Document svg = parse(new LineChart(TOKENS, LOSS, series).svg());
        List<Element> lines = elements(svg, "polyline");
        assertThat(lines).hasSize(2);
        for (int i = 0; i < 2; i++) {
            Element group = (Element) lines.get(i).getParentNode();
            assertThat(texts(group, "title")).containsExactly(series.get(i).name());
            assertThat(lines.get(i).getAttribute("points").split(" ", -1))
                    .hasSize(series.get(i).points().size());
        }
        assertThat(texts(svg.getDocumentElement(), "text"))
                .contains("tokens <so far> & \"all\"", "loss", "training", "wiki & \"others\" <é>", "100", "10");
        // only the short one
        assertThat(elements(svg, "circle")).hasSize(2);
    }

    @Test
    void putsPointsWhereTheirValuesAre() throws Exception {
        List<Point> points = List.of(new Point(0, 1), new Point(1, 10), new Point(2, 100));
        Document svg =
                parse(new LineChart(Axis.linear("x"), Axis.logarithmic("y"), List.of(new Series("s", points))).svg());
        List<double[]> drawn = Stream.of(
                        elements(svg, "polyline").get(0).getAttribute("points").split(" ", -1))
                .map(point -> Stream.of(point.split(",", -1))
                        .mapToDouble(Double::parseDouble)
                        .toArray())
                .toList();
        // the middle one is in the middle, to the tenth that is written; y grows downwards
        for (int axis = 0; axis < 2; axis++) {
            assertThat(drawn.get(1)[axis]).isCloseTo((drawn.get(0)[axis] + drawn.get(2)[axis]) / 2, within(0.1));
        }
        assertThat(drawn.get(2)[0]).isGreaterThan(drawn.get(0)[0]);
        assertThat(drawn.get(2)[1]).isLessThan(drawn.get(0)[1]);
    }

    @Test
    void keepsAllTextWithinTheDrawing() throws Exception {
        List<Series> many =
                IntStream.range(0, 20).mapToObj(i -> series("series " + i, 3)).toList();
        Document svg = parse(new LineChart(TOKENS, LOSS, many).svg());
        double height = Double.parseDouble(svg.getDocumentElement().getAttribute("height"));
        for (Element text : elements(svg, "text")) {
            if (text.hasAttribute("y")) {
                assertThat(Double.parseDouble(text.getAttribute("y"))).isBetween(10.0, height - 5);
            }
        }
    }

    @Test
    void tellsManySeriesApart() throws Exception {
        List<Series> many =
                IntStream.range(0, 20).mapToObj(i -> series("series " + i, 3)).toList();
        List<String> looks = new ArrayList<>();
        for (Element line : elements(parse(new LineChart(TOKENS, LOSS, many).svg()), "polyline")) {
            Element group = (Element) line.getParentNode();
            looks.add(group.getAttribute("stroke") + group.getAttribute("stroke-dasharray"));
        }
        assertThat(looks).hasSize(20).doesNotHaveDuplicates();
    }

    /** Contrast ratios of the Web Content Accessibility Guidelines, which ask for 3 of what is drawn. */
    @Test
    void standsOutFromLightAndDark() {
        List<String> colors = new ArrayList<>(LineDrawing.COLORS);
        colors.add(LineDrawing.TEXT_COLOR);
        for (String color : colors) {
            assertThat(contrast("#ffffff", color)).as(color).isGreaterThan(3.7);
            assertThat(contrast(color, "#0d1117")).as(color).isGreaterThan(3.7);
        }
    }

    @Test
    void drawsTheSameInEveryLocale() {
        LineChart chart = new LineChart(TOKENS, LOSS, List.of(series("s", 20)));
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
                .isThrownBy(() -> new LineChart(TOKENS, LOSS, List.of(new Series("s", List.of()))))
                .withMessage("a chart needs at least one point");
        for (double wrong : new double[] {Double.NaN, Double.POSITIVE_INFINITY, 0, -1}) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() ->
                            new LineChart(TOKENS, LOSS, List.of(new Series("s", List.of(new Point(1, wrong))))))
                    .withMessage("s: " + wrong + " is not on the axis \"loss\"");
        }
    }

    private static Series series(String name, int points) {
        return new Series(
                name,
                IntStream.range(0, points)
                        .mapToObj(i -> new Point(i, 9.0 / (i + 1)))
                        .toList());
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
