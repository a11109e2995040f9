package dev.ptq.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.ptq.calibrate.Statistic;
import dev.ptq.calibrate.WantedStatistics;
import dev.ptq.config.OmittedIfEmpty;
import dev.ptq.model.HookPoint;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class CanonicalTextTest {
    private enum Order {
        NATURAL,
        ACTIVATION {}
    }

    private record Box(@Nullable Object value) {}

    private record Crate(@Nullable Object value) {}

    private record Pair(Object first, Object second) {}

    private static String text(@Nullable Object value) {
        return CanonicalText.of(new Box(value), "settings");
    }

    @Test
    void walksRecordsByComponent() {
        record Settings(int bits, double clip, Order order, List<String> names, OptionalInt rank, Box nested) {}

        assertThat(CanonicalText.of(
                        new Settings(4, 0.1, Order.ACTIVATION, List.of("a", "b"), OptionalInt.of(8), new Box(true)),
                        "settings"))
                .endsWith("Settings(bits=4, clip=0.1, order=CanonicalTextTest.Order.ACTIVATION, names=[\"a\", \"b\"],"
                        + " rank=?(8), nested=CanonicalTextTest.Box(value=true))");
    }

    /** What came later leaves the text of those that do not use it. */
    @Test
    void omitsWhatIsEmptyWhereAsked() {
        record Settings(int bits, @OmittedIfEmpty List<String> later, OptionalInt number) {}
        record Two(
                @OmittedIfEmpty Optional<String> first,
                @OmittedIfEmpty List<String> second) {}

        assertThat(CanonicalText.of(new Settings(4, List.of(), OptionalInt.of(1)), "settings"))
                .endsWith("Settings(bits=4, number=?(1))");
        assertThat(CanonicalText.of(new Settings(4, List.of("a"), OptionalInt.empty()), "settings"))
                .endsWith("Settings(bits=4, later=[\"a\"], number=?())");
        assertThat(CanonicalText.of(new Two(Optional.empty(), List.of("a")), "settings"))
                .endsWith("Two(second=[\"a\"])");
        assertThat(CanonicalText.of(new Two(Optional.empty(), List.of()), "settings"))
                .endsWith("Two()");
    }

    /** Statistics of a cache have no part in the fingerprints of those that take none. */
    @Test
    void statisticsWithoutACacheAreAsTheyWere() {
        WantedStatistics wanted = WantedStatistics.ofEvery(Set.of(Statistic.MIN, Statistic.MAX));
        String text = "WantedStatistics(kinds=[Statistic.MIN, Statistic.MAX], matrixInputs=?(), allTokens=false)";
        assertThat(CanonicalText.of(wanted, "settings")).isEqualTo(text);
        assertThat(CanonicalText.of(
                        wanted.withCache(
                                List.of(new WantedStatistics.OfCache(HookPoint.KEY, List.of(Statistic.ABS_MAX)))),
                        "settings"))
                .isEqualTo(text.replace(
                        "false)",
                        "false, cache=[WantedStatistics.OfCache(hookPoint=HookPoint(place=HookPoint.Place.KEY,"
                                + " expert=\"\"), kinds=[Statistic.ABS_MAX])])"));
    }

    @Test
    void differsWheneverTheValueDoes() {
        List<String> texts = Stream.of(
                        "",
                        "a",
                        "\"",
                        "\\",
                        "\\\"",
                        "a\", \"b",
                        "1",
                        "true",
                        "\n",
                        "\\u000a",
                        "\ud800",
                        "\udfff",
                        "?",
                        1,
                        1.0,
                        1.0f,
                        -0.0,
                        0.0,
                        Double.NaN,
                        0.1,
                        0.1f,
                        Long.MAX_VALUE,
                        true,
                        Order.NATURAL,
                        "CanonicalTextTest.Order.NATURAL",
                        List.of(),
                        List.of(""),
                        List.of(List.of()),
                        List.of("a", "b"),
                        List.of("a, b"),
                        List.of("a\", \"b"),
                        List.of(List.of("a"), List.of("b")),
                        List.of(List.of("a", "b")),
                        List.of(List.of("a"), "b"),
                        Optional.empty(),
                        Optional.of(Optional.empty()),
                        Optional.of("a"),
                        OptionalInt.of(2),
                        OptionalDouble.of(2),
                        new Box(1),
                        new Crate(1),
                        new Box(new Crate(1)),
                        new Crate(new Box(1)),
                        new Pair(1, new Pair(2, 3)),
                        new Pair(new Pair(1, 2), 3))
                .map(CanonicalTextTest::text)
                .toList();

        assertThat(texts).doesNotHaveDuplicates().allMatch(text -> text.matches("[ -~]+"));
    }

    @Test
    void writesEmptyOptionalsAlike() {
        assertThat(List.of(text(OptionalInt.empty()), text(OptionalLong.empty()), text(OptionalDouble.empty())))
                .containsOnly(text(Optional.empty()));
    }

    @Test
    void refusesWhatHasNoCanonicalTextAndSaysWhere() {
        for (Object value : List.of(Map.of(), Set.of(), new int[0], Path.of("x"), 'c', new Object())) {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> text(new Pair(1, List.of(1, new Box(value)))))
                    .withMessageStartingWith("settings.value.second[1].value: expected")
                    .withMessageEndingWith("got " + value.getClass().getName());
        }
    }

    @Test
    void refusesNull() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> text(null))
                .withMessageStartingWith("settings.value:")
                .withMessageEndingWith("got null");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> text(Arrays.asList(1, null)))
                .withMessageStartingWith("settings.value[1]:");
    }
}
