package dev.ptq.chart;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.ptq.chart.BarChart.Bar;
import java.io.StringReader;
import java.util.List;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.xml.sax.InputSource;

class BarChartTest {
    private static final Axis ACCURACY = Axis.linear("acc");

    @Test
    void barsAreAsLongAsTheirValuesAndErrorsAroundTheirEnds() throws Exception {
        Document svg = parse(new BarChart(
                "t",
                ACCURACY,
                List.of(
                        new Bar("a", 0.25, 0.05, "a: 0.25"),
                        new Bar("a", 0.5, Double.NaN, "second a"),
                        new Bar("none", 0, 0, ""))));
        List<Element> marks = marks(svg);
        assertThat(marks).hasSize(3);
        Element first = child(marks.get(0), "rect");
        Element second = child(marks.get(1), "rect");
        assertThat(number(second, "width")).isCloseTo(2 * number(first, "width"), within(0.2));
        assertThat(number(second, "y")).isGreaterThan(number(first, "y"));
        assertThat(child(marks.get(0), "title").getTextContent()).isEqualTo("a: 0.25");

        Element error = child(marks.get(0), "line");
        double perUnit = number(second, "width") / 0.5;
        assertThat(Math.abs(number(error, "x2") - number(error, "x1"))).isCloseTo(0.1 * perUnit, within(0.3));
        assertThat(marks.get(1).getElementsByTagName("line").getLength()).isZero();
        assertThat(number(first, "x") + number(first, "width"))
                .isCloseTo((number(error, "x1") + number(error, "x2")) / 2, within(0.2));
    }

    @Test
    void manyBarsWithLongNamesStayWithinTheDrawing() throws Exception {
        List<Bar> bars = IntStream.range(0, 40)
                .mapToObj(i -> new Bar("a/long/name/of/a/run/in/a/folder/of/folders/rank-" + i, i / 40.0, 0.02, ""))
                .toList();
        Document svg = parse(new BarChart("t", ACCURACY, bars));
        double height = number(svg.getDocumentElement(), "height");
        for (int i = 0; i < svg.getElementsByTagName("text").getLength(); i++) {
            Element text = (Element) svg.getElementsByTagName("text").item(i);
            assertThat(number(text, "x")).isBetween(0.0, 560.0);
            assertThat(number(text, "y")).isBetween(8.0, height);
        }
        assertThat(svg.getDocumentElement().getTextContent())
                .contains("rank-39")
                .doesNotContain("a/long");
    }

    @Test
    void refusesWhatItCannotDraw() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new BarChart("t", ACCURACY, List.of()))
                .withMessage("a chart needs at least one bar");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new BarChart("t", ACCURACY, List.of(new Bar("b", Double.NaN, 0, ""))))
                .withMessage("b: NaN is not on the axis \"acc\"");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new BarChart("t", ACCURACY, List.of(new Bar("b", 1, -1, ""))))
                .withMessage("b: off by -1.0");
    }

    @Test
    void stylesOfAPageAreWrittenOnceInItsColours() throws Exception {
        ChartStyles styles = new ChartStyles();
        BarChart chart = new BarChart("t", ACCURACY, List.of(new Bar("b", 1, 0.1, "")));
        String first = styles.embed(chart);

        assertThat(styles.embed(chart)).isEqualTo(first).doesNotContain("style=", "rgb(");
        assertThat(styles.css())
                .contains("fill:var(--chart-0)", "var(--chart-text)")
                .doesNotContain("rgb(");
        assertThat(styles.css().lines()).doesNotHaveDuplicates();
        assertThat(chart.svg()).contains("rgb(42,120,200)").doesNotContain("var(");
    }

    private static Document parse(Chart chart) throws Exception {
        return DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(chart.svg())));
    }

    private static List<Element> marks(Document svg) {
        return IntStream.range(0, svg.getElementsByTagName("g").getLength())
                .mapToObj(i -> (Element) svg.getElementsByTagName("g").item(i))
                .filter(group -> group.getAttribute("class").equals("mark"))
                .toList();
    }

    private static Element child(Element group, String name) {
        return (Element) group.getElementsByTagName(name).item(0);
    }

    private static double number(Element element, String attribute) {
        return Double.parseDouble(element.getAttribute(attribute));
    }
}
