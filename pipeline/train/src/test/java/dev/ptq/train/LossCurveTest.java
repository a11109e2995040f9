package dev.ptq.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.ptq.train.LossCurve.Row;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

class LossCurveTest {
    @TempDir
    private Path folder;

    @Test
    void writesATableWithAColumnForEachCorpus() throws IOException {
        LossCurve.write(
                folder,
                List.of(
                        new Row(1, 4096, 0.0003, 8.3178, Map.of()),
                        new Row(2, 8192, 2.5e-7, 1.0 / 3, Map.of("wikitext", 7.5)),
                        new Row(3, 12288, 0, 6, Map.of("wikitext", 6.25, "stories, short", 5.0))));
        assertThat(folder.resolve(LossCurve.TABLE)).hasContent("""
                        step,tokens,learning_rate,train_loss,"validation_loss/stories, short",validation_loss/wikitext
                        1,4096,0.0003,8.3178,,
                        2,8192,0.00000025,0.333333333,,7.5
                        3,12288,0,6,5,6.25
                        """);
    }

    @Test
    void readsWhatItWrote() throws IOException {
        List<Row> rows = rows(300);
        LossCurve.write(folder, rows);
        assertThat(LossCurve.read(folder.resolve(LossCurve.TABLE))).isEqualTo(rows);
    }

    @Test
    void drawsTheMeansOfTheTrainingAndEveryMeasurement() throws Exception {
        LossCurve.write(folder, rows(1000));
        Document svg = DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(folder.resolve(LossCurve.CHART).toFile());
        NodeList groups = svg.getElementsByTagName("g");
        List<String> names = new ArrayList<>();
        List<Integer> points = new ArrayList<>();
        for (int i = 0; i < groups.getLength(); i++) {
            Element group = (Element) groups.item(i);
            if (group.getAttribute("class").equals("series")) {
                names.add(group.getElementsByTagName("title").item(0).getTextContent());
                Element path = (Element) group.getElementsByTagName("path").item(0);
                points.add(path.getAttribute("d").split("[ML]", -1).length - 1);
            }
        }
        assertThat(names).containsExactly("training, mean of 8 steps", "stories", "wikitext");
        assertThat(points).containsExactly(125, 10, 10);
    }

    @Test
    void drawsTheFirstStepToo() throws IOException {
        LossCurve.write(folder, rows(1));
        assertThat(folder.resolve(LossCurve.CHART)).content().contains("training");
    }

    @Test
    void replacesTheFilesByTheSameBytesAndLeavesNothingElse() throws IOException {
        LossCurve.write(folder, rows(5));
        LossCurve.write(folder, rows(300));
        String table = Files.readString(folder.resolve(LossCurve.TABLE));
        String chart = Files.readString(folder.resolve(LossCurve.CHART));
        LossCurve.write(folder, LossCurve.read(folder.resolve(LossCurve.TABLE)));
        assertThat(folder.resolve(LossCurve.TABLE)).hasContent(table);
        assertThat(folder.resolve(LossCurve.CHART)).hasContent(chart);
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files.map(file -> file.getFileName().toString()))
                    .containsExactlyInAnyOrder(LossCurve.TABLE, LossCurve.CHART);
        }
    }

    @Test
    void namesTheStepWhoseLossIsNoNumber() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Row(7, 1, 0.1, Double.NaN, Map.of()))
                .withMessage("step 7: the training loss is NaN");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new Row(7, 1, 0.1, 1, Map.of("wikitext", Double.POSITIVE_INFINITY)))
                .withMessage("step 7: the loss on wikitext is Infinity");
    }

    @Test
    void namesTheLineThatIsWrong() throws IOException {
        Path file = folder.resolve(LossCurve.TABLE);
        Files.writeString(file, "step,tokens,learning_rate,train_loss\n1,2,0.1,3\n2,x,0.1,3\n");
        assertThatIOException()
                .isThrownBy(() -> LossCurve.read(file))
                .withMessage(file + ":3: For input string: \"x\"");
        Files.writeString(file, "step,tokens,train_loss\n1,2,3\n");
        assertThatIOException()
                .isThrownBy(() -> LossCurve.read(file))
                .withMessageContainingAll(file + ":2: ", "learning_rate");
    }

    /** Measured every hundredth step; the losses are exact in nine digits. */
    private static List<Row> rows(int count) {
        List<Row> rows = new ArrayList<>();
        for (int step = 1; step <= count; step++) {
            double loss = 3 + Math.rint(640.0 / step) / 128;
            Map<String, Double> measured =
                    step % 100 == 0 ? Map.of("wikitext", loss + 0.5, "stories", loss - 0.5) : Map.of();
            rows.add(new Row(step, step * 4096L, 0.001, loss, measured));
        }
        return rows;
    }
}
