package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.artifact.PointState;
import dev.ptq.sweep.PointRunner.Outcome;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What becomes of points, with a runner that only says how each ends. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SweepRunTest {
    private static final Outcome DONE = new Outcome(Optional.empty(), 1.5);
    private static final Outcome FAILED = new Outcome(Optional.of("no luck"), 0.5);

    @TempDir
    Path folder;

    private Sweep sweep;
    private List<CheckedPoint> points;
    private final List<String> ran = Collections.synchronizedList(new ArrayList<>());

    @BeforeEach
    void expand() throws IOException {
        Path file = Files.writeString(folder.resolve("s.toml"), "axes.seed = [1, 2, 3]\npoints.plain = { x = 0.5 }\n");
        sweep = Sweep.read(file, Path.of("base.toml"), List.of("y=3"), folder.resolve("results"), "a/b");
        points = sweep.points().stream()
                .map(point ->
                        new CheckedPoint(point, "f-" + point.name(), Optional.empty(), false, List.of(), Map.of()))
                .toList();
    }

    private List<PointRecord> run(PointRunner runner, int jobs, boolean failFast) throws IOException {
        PointRunner noting = point -> {
            ran.add(point.point().name());
            return runner.run(point);
        };
        return new SweepRun(sweep, points, new LocalLauncher(noting, jobs)).run(failFast);
    }

    private JsonNode record() {
        try {
            return JsonMapper.shared().readTree(Files.readString(folder.resolve("results/a/b/sweep.json")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void runsOnePointAfterTheOther() throws IOException {
        List<PointRecord> records = run(point -> DONE, 1, false);

        assertThat(ran).containsExactly("seed-1", "seed-2", "seed-3", "plain");
        assertThat(records).extracting(PointRecord::state).containsOnly(PointState.DONE);
        JsonNode json = record();
        assertThat(json.propertyNames())
                .containsExactly("sweep", "config", "axes", "set", "started", "ended", "points");
        assertThat(json.get("sweep").asString()).endsWith("s.toml");
        assertThat(json.get("config").asString()).isEqualTo("base.toml");
        assertThat(json.get("set").get(0).asString()).isEqualTo("y=3");
        assertThat(json.get("points").get(3))
                .isEqualTo(JsonMapper.shared()
                        .valueToTree(Map.of(
                                "name",
                                "plain",
                                "state",
                                "done",
                                "seconds",
                                1.5,
                                "fingerprint",
                                "f-plain",
                                "axes",
                                Map.of(),
                                "set",
                                Map.of("x", 0.5))));
        assertThat(folder.resolve("results/a/b")).isDirectoryContaining("glob:**/sweep.{json,toml}");
        assertThat(folder.resolve("results/a/b").toFile().list()).hasSize(2);
        assertThat(folder.resolve("results/a/b/sweep.toml")).hasSameTextualContentAs(folder.resolve("s.toml"));
    }

    @Test
    void aFailedPointEndsNoOther() throws IOException {
        List<PointRecord> records = run(point -> point.point().name().equals("seed-1") ? FAILED : DONE, 1, false);

        assertThat(records)
                .extracting(PointRecord::state)
                .containsExactly(PointState.FAILED, PointState.DONE, PointState.DONE, PointState.DONE);
        assertThat(record().get("points").get(0).get("error").asString()).isEqualTo("no luck");
        assertThat(record().get("points").get(0).get("state").asString()).isEqualTo("failed");
    }

    @Test
    void noPointIsStartedAfterAFailureIfThatIsWanted() throws IOException {
        List<PointRecord> records = run(point -> point.point().name().equals("seed-2") ? FAILED : DONE, 1, true);

        assertThat(ran).containsExactly("seed-1", "seed-2");
        assertThat(records)
                .extracting(PointRecord::state)
                .containsExactly(PointState.DONE, PointState.FAILED, PointState.PENDING, PointState.PENDING);
    }

    @Test
    void theRecordIsKeptUpToDate() throws IOException {
        run(
                point -> {
                    JsonNode json = record();
                    assertThat(json.has("ended")).isFalse();
                    long done = json.get("points")
                            .valueStream()
                            .filter(each -> each.get("state").asString().equals("done"))
                            .count();
                    assertThat(done).isEqualTo(ran.size() - 1);
                    assertThat(json.get("points").size()).isEqualTo(4);
                    return DONE;
                },
                1,
                false);
        assertThat(ran).hasSize(4);
    }

    @Test
    void asManyPointsAsWantedRunAtOnce() throws IOException {
        CyclicBarrier two = new CyclicBarrier(2);
        List<PointRecord> records = run(
                point -> {
                    try {
                        two.await(30, TimeUnit.SECONDS);
                    } catch (Exception e) {
                        throw new IllegalStateException(e);
                    }
                    return DONE;
                },
                2,
                false);

        assertThat(records).extracting(PointRecord::state).containsOnly(PointState.DONE);
    }

    @Test
    void aProgramThatEndsLeavesItsPointsPending() {
        assertThatThrownBy(() -> run(
                        point -> {
                            if (point.point().name().equals("seed-2")) {
                                throw new InterruptedException();
                            }
                            return DONE;
                        },
                        1,
                        false))
                .isInstanceOf(InterruptedIOException.class);
        assertThat(record().get("points").get(1).get("state").asString()).isEqualTo("pending");
        assertThat(record().get("points").get(0).get("state").asString()).isEqualTo("done");
    }

    @Test
    void aDefectIsReportedWhenTheOthersAreDone() {
        assertThatIllegalStateException()
                .isThrownBy(() -> run(
                        point -> {
                            if (point.point().name().equals("seed-1")) {
                                throw new IllegalArgumentException("defect");
                            }
                            return DONE;
                        },
                        1,
                        false));
        assertThat(ran).hasSize(4);
    }
}
