package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.config.Assignment;
import dev.ptq.config.Position;
import dev.ptq.run.Runs;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class PointNamesTest {
    private static Assignment set(String key, Object value) {
        return new Assignment(Assignment.path(key).orElseThrow(), value, new Position("s.toml", 1, 1));
    }

    private static String name(Assignment... assignments) {
        return names(List.of(List.of(assignments))).get(0);
    }

    private static List<String> names(List<List<Assignment>> points) {
        return PointNames.of(points.stream()
                .map(point -> new PointNames.Parts(
                        point.stream().map(PointNames.Part::of).toList(), point))
                .toList());
    }

    @Test
    void keysAreAsShortAsTheyCanBe() {
        assertThat(name(set("approximation.l2qer.rank", 8L), set("quantization.weight.bits", 3L)))
                .isEqualTo("rank-8_bits-3");
        assertThat(name(set("quantization.activation.bits", 8L), set("quantization.weight.bits", 3L), set("bits", 1L)))
                .isEqualTo("activation.bits-8_weight.bits-3_bits-1");
        assertThat(name(set("a.x.bits", 8L), set("b.x.bits", 3L))).isEqualTo("a.x.bits-8_b.x.bits-3");
        assertThat(name(set("approximation.0", List.of()))).isEqualTo("approximation.0-none");
        assertThat(name(set("evaluation.perplexity.\"my text\"", 1L))).isEqualTo("my-text-1");
    }

    @Test
    void valuesAreReadable() {
        assertThat(name(set("a", true))).isEqualTo("a-true");
        assertThat(name(set("a", -1L))).isEqualTo("a--1");
        assertThat(name(set("a", 0.25))).isEqualTo("a-0.25");
        assertThat(name(set("a", 1e-5))).isEqualTo("a-1.0e-5");
        assertThat(name(set("a", "lqer_act"))).isEqualTo("a-lqer_act");
        assertThat(name(set("a", "../models/tiny llama"))).isEqualTo("a-models-tiny-llama");
        assertThat(name(set("a", "größe"))).isEqualTo("a-gr-e");
        assertThat(name(set("a", ""))).isEqualTo("a-none");
        assertThat(name(set("a", List.of(1L, -1L)))).isEqualTo("a-1--1");
        assertThat(name(set("a", Map.of()))).isEqualTo("a-none");
        Map<String, Object> format = new LinkedHashMap<>();
        format.put("format", "mxint");
        format.put("block_size", List.of(1L, 16L));
        assertThat(name(set("quantization.weight", format))).isEqualTo("weight-format-mxint-block_size-1-16");
    }

    @Test
    void aDigestTellsApartWhatLooksTheSame() {
        List<String> names = names(List.of(
                List.of(set("a", "x y")), List.of(set("a", "x-y")), List.of(set("a", "X-Y")), List.of(set("a", "z"))));

        assertThat(names).doesNotHaveDuplicates().last().isEqualTo("a-z");
        assertThat(names.subList(0, 3)).allMatch(name -> name.matches("(?i)a-x-y-[0-9a-f]{8}"));
        assertThat(names(List.of(List.of(set("a", "x")), List.of(set("a", "x")))))
                .containsExactly("a-x", "a-x");
    }

    @Test
    void longNamesAreCut() {
        String text = "word ".repeat(40);
        List<String> names = names(List.of(List.of(set("a", text + "1")), List.of(set("a", text + "2"))));

        assertThat(names)
                .doesNotHaveDuplicates()
                .allSatisfy(name -> assertThat(name)
                        .hasSize(PointNames.LONGEST)
                        .startsWith("a-word-word-")
                        .matches(".*-[0-9a-f]{8}"));
    }

    @Test
    void everyNameCanBeADirectory() {
        String characters = "ab-_. /\\\"'é\n7:*~";
        SplittableRandom random = new SplittableRandom(11);
        for (int round = 0; round < 300; round++) {
            List<Assignment> point = new ArrayList<>();
            for (int i = 0; i < 1 + random.nextInt(3); i++) {
                StringBuilder text = new StringBuilder();
                for (int n = random.nextInt(60); n > 0; n--) {
                    text.append(characters.charAt(random.nextInt(characters.length())));
                }
                point.add(
                        new Assignment(List.of("x", text + "k" + i), text + ".partial", new Position("s.toml", 1, 1)));
            }
            String name = name(point.toArray(Assignment[]::new));
            assertThat(Runs.tagProblem(name)).as(name).isEmpty();
            assertThat(PointNames.problem(name)).as(name).isEmpty();
        }
    }
}
