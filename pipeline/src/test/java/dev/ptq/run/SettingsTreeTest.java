package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class SettingsTreeTest {
    private enum Order {
        NATURAL,
        BY_ACTIVATION
    }

    private record Content(String sha256) {}

    private record Other(String sha256) {}

    private record Step(int rank, Order order, List<Integer> blockSize) {}

    private record Settings(
            Object text, OptionalInt maxSamples, List<Step> steps, double clip, String pattern, Optional<Step> last) {}

    private static final String DIGEST = "0123456789ab".repeat(5) + "0123";
    private static final Step STEP = new Step(4, Order.NATURAL, List.of(1, 16));
    private static final Settings SETTINGS =
            new Settings(new Content(DIGEST), OptionalInt.empty(), List.of(STEP), 0.5, "a\\.\"b", Optional.empty());

    private static SettingsTree tree(Record settings) {
        return SettingsReader.read(CanonicalText.of(settings, "settings"));
    }

    private static Map<String, String> differences(Record now, Record was) {
        return SettingsTree.differences(tree(now), tree(was));
    }

    @Test
    void equalSettingsDifferNowhere() {
        assertThat(differences(SETTINGS, SETTINGS)).isEmpty();
    }

    @Test
    void namesEachKeyAndBothValues() {
        Settings other = new Settings(
                new Content("f".repeat(64)),
                OptionalInt.of(6),
                List.of(new Step(8, Order.BY_ACTIVATION, List.of(16, 1))),
                1e-9,
                "a\\.\"c",
                Optional.of(STEP));

        assertThat(differences(other, SETTINGS))
                .containsExactly(
                        Map.entry("text.sha256", "ffffffffffff…, was 0123456789ab…"),
                        Map.entry("max_samples", "6, was none"),
                        Map.entry("steps.0.rank", "8, was 4"),
                        Map.entry("steps.0.order", "by_activation, was natural"),
                        Map.entry("steps.0.block_size", "[16, 1], was [1, 16]"),
                        Map.entry("clip", "1.0E-9, was 0.5"),
                        Map.entry("pattern", "\"a\\\\.\\\"c\", was \"a\\\\.\\\"b\""),
                        Map.entry(
                                "last", "SettingsTreeTest.Step(rank=4, order=natural, block_size=[1, 16]), was none"));
    }

    @Test
    void listsAreComparedByIndexAndTypesAsAWhole() {
        Settings none =
                new Settings(new Other(DIGEST), OptionalInt.empty(), List.of(), 0.5, "a\\.\"b", Optional.empty());

        assertThat(differences(none, SETTINGS))
                .containsExactly(
                        Map.entry(
                                "text",
                                "SettingsTreeTest.Other(sha256=0123456789ab…), was"
                                        + " SettingsTreeTest.Content(sha256=0123456789ab…)"),
                        Map.entry(
                                "steps.0",
                                "not there, was SettingsTreeTest.Step(rank=4, order=natural, block_size=[1, 16])"));
    }

    @Test
    void longValuesAreCutShort() {
        Settings other = new Settings(
                new Content(DIGEST), OptionalInt.empty(), List.of(STEP), 0.5, "x".repeat(1000), Optional.empty());

        assertThat(differences(other, SETTINGS).get("pattern"))
                .isEqualTo("\"" + "x".repeat(79) + "…, was \"a\\\\.\\\"b\"");
    }

    @Test
    void whatIsNotCanonicalIsOnePlainValue() {
        for (String text : List.of(
                "",
                "A(",
                "A(b)",
                "A(b=1",
                "A(b=1,c=2)",
                "A(b=\"x)",
                "\"\\",
                "[1",
                "?(1",
                "a b",
                "A()x",
                "[".repeat(99))) {
            SettingsTree tree = SettingsReader.read(text);

            assertThat(tree).as(text).isEqualTo(SettingsTree.plain(text, text));
            assertThat(SettingsTree.differences(tree(SETTINGS), tree)).as(text).containsOnlyKeys("settings");
        }
    }

    @Test
    void controlCharactersAreNotShown() {
        assertThat(SettingsTree.differences(tree(new Content("a")), SettingsReader.read("b\u001b[2J")))
                .containsValue("SettingsTreeTest.Content(sha256=\"a\"), was b [2J");
    }
}
