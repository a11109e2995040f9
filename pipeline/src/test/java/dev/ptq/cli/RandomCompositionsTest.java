package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.artifact.LedgerEvent;
import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.model.TinyFamilies;
import dev.ptq.stage.Compositions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Compositions of steps, formats and caches that a seed draws: a legal one runs, and every way of taking it up again comes
 * to the same end; any other one is refused with a sentence for each reason.
 */
class RandomCompositionsTest {
    private static final String HEAD = """
            seed = 7
            [model]
            path = "DIR/model"
            [calibration]
            dataset = "DIR/text.txt"
            num_samples = 2
            seq_len = 16
            batch_size = 1
            """;

    private static final String TAIL = """
            [evaluation]
            baselines = ["full_precision"]
            [[evaluation.perplexity]]
            name = "tales"
            dataset = "DIR/text.txt"
            seq_len = 16
            max_samples = 2
            batch_size = 2
            """;

    private static final String PROBLEM = "DIR/config\\.toml:\\d+:\\d+: [a-z0-9_.]+: [^;:].*";

    @TempDir
    private Path folder;

    @Test
    void legalOnesRunAndOthersAreRefused() throws IOException {
        List<Path> families = TinyFamilies.few();
        run(1, 20, families);
    }

    @Test
    @Tag("slow")
    void soDoManyMore() throws IOException {
        run(2, 200, TinyFamilies.folders());
    }

    private void run(long seed, int legal, List<Path> families) throws IOException {
        TinyExperiment tiny = new TinyExperiment(folder);
        SplittableRandom random = new SplittableRandom(seed);
        List<String> failures = new ArrayList<>();
        int ran = 0;
        int refused = 0;
        for (int i = 0; ran < legal; i++) {
            // every other one is a llama, which has a place for everything
            Path family = i % 2 == 0 ? folder.resolve("llama") : families.get(random.nextInt(families.size()));
            String steps = Compositions.draw(random);
            remake(family);
            Path config = tiny.config(HEAD + steps + TAIL);
            Outcome validated = tiny.execute("validate", config.toString());
            try {
                if (validated.code() == 0) {
                    ran++;
                    assertRuns(tiny, HEAD + steps + TAIL);
                } else {
                    refused++;
                    assertRefused(validated);
                }
            } catch (AssertionError | RuntimeException e) {
                failures.add("draw " + i + ", " + family.getFileName() + "\n" + steps + "\n" + e);
            }
            delete(folder.resolve("results"));
            delete(folder.resolve("other"));
        }
        assertThat(failures).as("%s ran, %s were refused", ran, refused).isEmpty();
        assertThat(refused).isBetween(legal / 4, 8 * legal);
    }

    private void remake(Path family) throws IOException {
        Path model = Files.createDirectories(folder.resolve("model"));
        for (String file : List.of("config.json", "model.safetensors")) {
            Files.deleteIfExists(model.resolve(file));
            Files.copy(family.resolve(file), model.resolve(file));
        }
        if (!Files.exists(model.resolve("tokenizer.json"))) {
            Files.copy(folder.resolve("llama/tokenizer.json"), model.resolve("tokenizer.json"));
        }
    }

    private static void assertRefused(Outcome outcome) {
        assertThat(outcome.code()).as(outcome.err()).isEqualTo(2);
        assertThat(outcome.err().lines())
                .isNotEmpty()
                .doesNotHaveDuplicates()
                .allMatch(line -> line.matches(PROBLEM))
                .noneMatch(line -> line.contains("Exception") || line.contains("dev.ptq"));
    }

    private void assertRuns(TinyExperiment tiny, String toml) throws IOException {
        Outcome outcome = tiny.run(toml, "first");
        assertThat(outcome.code()).as(outcome.err()).isZero();
        assertThat(Objects.requireNonNull(tiny.metrics("first").get("perplexity/tales/loss")))
                .as("loss")
                .isBetween(2.0, 40.0);
        assertThat(tiny.ledger("first"))
                .as("folds that change the function")
                .noneMatch(entry -> entry.event() == LedgerEvent.MOVED);
        Map<String, String> stages = tiny.stages("first", "fingerprint");

        // the same settings, written by the program itself: nothing is made again
        Outcome resolved =
                tiny.execute("run", "DIR/results/first/resolved.toml", "resolved", "--results", "DIR/results");
        assertThat(resolved.code()).as(resolved.err()).isZero();
        assertThat(tiny.stages("resolved", "fingerprint")).isEqualTo(stages);
        assertThat(tiny.stages("resolved", "reused").values()).containsOnly("true");
        assertThat(tiny.result("resolved/resolved.toml")).hasSameTextualContentAs(tiny.result("first/resolved.toml"));

        // of the stages that were done, some are left, as where a process ends between two of them
        List<Path> entries = entries();
        for (Path entry : entries.subList(entries.size() / 2, entries.size())) {
            delete(entry);
        }
        Outcome interrupted = tiny.run(toml, "interrupted");
        assertThat(interrupted.code()).as(interrupted.err()).isZero();
        assertThat(tiny.result("interrupted/metrics.json")).hasSameBinaryContentAs(tiny.result("first/metrics.json"));
        assertThat(tiny.result("interrupted/ledger.csv")).hasSameBinaryContentAs(tiny.result("first/ledger.csv"));
    }

    /** The finished stages of the cache, in the order they were made. */
    private List<Path> entries() throws IOException {
        Map<String, Path> byTime = new TreeMap<>();
        try (Stream<Path> all = Files.list(folder.resolve("results/.cache"))) {
            for (Path entry : all.toList()) {
                Path done = entry.resolve("done.json");
                if (Files.exists(done)) {
                    byTime.put(Files.getLastModifiedTime(done) + " " + entry, entry);
                }
            }
        }
        return List.copyOf(byTime.values());
    }

    private static void delete(Path path) throws IOException {
        if (Files.exists(path)) {
            try (Stream<Path> all = Files.walk(path)) {
                for (Path each : all.sorted((a, b) -> b.compareTo(a)).toList()) {
                    Files.delete(each);
                }
            }
        }
    }
}
