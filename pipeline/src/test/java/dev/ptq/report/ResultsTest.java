package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ResultsTest {
    @TempDir
    Path folder;

    private static final String SEED = "seed = 0\n";

    private Results read() throws IOException {
        return Results.read(List.of(folder));
    }

    private static List<String> runs(Results results) {
        return results.rows().stream().map(ResultRow::run).toList();
    }

    @Test
    void aRunIsReadAsItIsWritten() throws IOException {
        RunFolders.write(
                folder.resolve("a/b"),
                "seed = 7\n",
                "{\"perplexity/x\": 4.3908999999999994, \"perplexity/x/protocol\": \"gptq\", \"perplexity/x/tokens\": 138,"
                        + " \"bits_per_weight\": 4.50, \"small\": 1.0E-9, \"flag\": true, \"nothing\": null}");
        ResultRow row = read().rows().get(0);

        assertThat(row.run()).isEqualTo("a/b");
        assertThat(row.folder()).isEqualTo(folder.toRealPath().resolve("a/b"));
        assertThat(row.config().values()).isEqualTo(Map.of("seed", 7L));
        assertThat(row.metrics())
                .isEqualTo(Map.of(
                        "perplexity/x",
                        new BigDecimal("4.3908999999999994"),
                        "perplexity/x/protocol",
                        "gptq",
                        "perplexity/x/tokens",
                        138,
                        "bits_per_weight",
                        new BigDecimal("4.50"),
                        "small",
                        new BigDecimal("1.0E-9"),
                        "flag",
                        true));
        assertThat(row.seconds()).isEqualTo(OptionalDouble.of(0.3));
        assertThat(row.peakMemoryBytes()).isEqualTo(OptionalLong.of(1048576));
        assertThat(row.state()).isEqualTo("done");
        assertThat(row.error()).isEmpty();
        assertThat(row.measures().keySet())
                .containsExactly(
                        "perplexity/x",
                        "perplexity/x/protocol",
                        "perplexity/x/tokens",
                        "small",
                        "flag",
                        "bits_per_weight",
                        "seconds",
                        "peak_memory_bytes");
    }

    @Test
    void findsRunsAtAnyDepthAndPassesOverWhatIsNone() throws IOException {
        for (String run :
                List.of("rank-16", "rank-8", "sweep/w4", ".cache/x", "dead.partial", "old.partial~", "a.partial2")) {
            RunFolders.write(folder.resolve(run), SEED, "{}");
        }
        RunFolders.write(folder.resolve("rank-8/evaluate/inner"), SEED, "{}");
        RunFolders.write(folder.resolve("other/manifest.json"), "{}");
        RunFolders.write(folder.resolve("notes.txt"), "hello");
        Files.createDirectories(folder.resolve("empty"));
        Results results = read();

        assertThat(runs(results)).containsExactly("a.partial2", "rank-8", "rank-16", "sweep/w4");
        assertThat(results.warnings()).isEmpty();
    }

    @Test
    void aFolderThatIsItselfARunHasItsName() throws IOException {
        RunFolders.write(folder.resolve("w4"), SEED, "{}");
        assertThat(runs(Results.read(List.of(folder.resolve("w4"))))).containsExactly("w4");
    }

    @Test
    void severalFoldersBeginTheNamesAndNoRunComesTwice() throws IOException {
        Path one = folder.resolve("one");
        Path two = folder.resolve("two");
        RunFolders.write(one.resolve("x"), SEED, "{}");
        RunFolders.write(two.resolve("x"), SEED, "{}");

        assertThat(runs(Results.read(List.of(one, two)))).containsExactly(one + "/x", two + "/x");
        assertThat(runs(Results.read(List.of(one, folder)))).containsExactly(one + "/x", folder + "/two/x");
        assertThat(runs(Results.read(List.of(one.resolve("x"), two.resolve("x")))))
                .containsExactly(one + "/x", two + "/x");
    }

    @Test
    void aDamagedRunIsARowThatSaysWhy() throws IOException {
        RunFolders.write(folder.resolve("a-good"), SEED, "{\"m\": 1}");
        RunFolders.write(folder.resolve("b-cut"), SEED, "{\"m\": 1");
        RunFolders.write(folder.resolve("c-list"), SEED, "[1]");
        RunFolders.write(folder.resolve("d-nested"), SEED, "{\"m\": {\"a\": 1}}");
        RunFolders.write(folder.resolve("e-toml"), "seed = \u001b[31m", "{\"m\": 1}");
        Files.delete(
                RunFolders.write(folder.resolve("f-lost"), SEED, "{\"m\": 1}").resolve("metrics.json"));
        RunFolders.write(
                RunFolders.write(folder.resolve("g-manifest"), SEED, "{\"m\": 1}")
                        .resolve("manifest.json"),
                "{}");
        Files.delete(
                RunFolders.write(folder.resolve("h-bare"), SEED, "{\"m\": 1}").resolve("resolved.toml"));
        Results results = read();

        assertThat(results.rows()).hasSize(8);
        assertThat(results.rows().get(0).state()).isEqualTo("done");
        assertThat(results.rows().subList(1, 8)).allSatisfy(row -> {
            assertThat(row.state()).isEqualTo("damaged");
            assertThat(row.error()).doesNotContain("\u001b", "\n", folder.toString());
        });
        assertThat(results.rows())
                .extracting(row -> row.error().split(":", -1)[0])
                .containsExactly(
                        "",
                        "metrics.json",
                        "metrics.json",
                        "metrics.json",
                        "resolved.toml",
                        "metrics.json",
                        "manifest.json",
                        "resolved.toml");
        assertThat(results.rows().get(5).error()).isEqualTo("metrics.json: missing");
        assertThat(results.rows().get(7).metrics()).isEqualTo(Map.of("m", 1));
        assertThat(results.warnings())
                .hasSize(7)
                .contains(
                        "c-list: metrics.json: expected an object",
                        "d-nested: metrics.json: m: expected a number or a word",
                        "f-lost: metrics.json: missing");
    }

    @Test
    void numbersThatAreTooLargeAreDamage() throws IOException {
        RunFolders.write(folder.resolve("a"), SEED, "{\"m\": 1e99999999999999}");
        RunFolders.write(folder.resolve("b"), SEED, "{\"m\": 1" + "0".repeat(2000) + "}");
        RunFolders.write(folder.resolve("c"), SEED, "{\"m\": 1e400}");

        assertThat(read().rows())
                .extracting(ResultRow::error)
                .satisfiesExactly(
                        error -> assertThat(error).isEqualTo("metrics.json: has a number that is too large"),
                        error -> assertThat(error)
                                .startsWith("metrics.json: not valid JSON: Number value length (2001)"),
                        error -> assertThat(error).isEmpty());
    }

    @Test
    void whatIsTooLargeIsNotRead() throws IOException {
        Path run = RunFolders.write(folder.resolve("a"), SEED, "{}");
        try (RandomAccessFile sparse =
                new RandomAccessFile(run.resolve("metrics.json").toFile(), "rw")) {
            sparse.setLength(1L << 30);
        }
        Path other = RunFolders.write(folder.resolve("b"), SEED, "{}");
        Files.writeString(other.resolve("resolved.toml"), "#".repeat((1 << 20) + 1));

        assertThat(read().rows())
                .extracting(ResultRow::error)
                .containsExactly(
                        "metrics.json: expected at most 4 MiB, found 1024 MiB or more",
                        "resolved.toml: expected at most 1 MiB, found 1 MiB or more");
    }

    @Test
    void deepNestingIsAnErrorNotACrash() throws IOException {
        RunFolders.write(folder.resolve("a"), "a = " + "[".repeat(100_000), "[".repeat(100_000));
        assertThat(read().rows().get(0).error()).contains("metrics.json: not valid JSON", "resolved.toml");
    }

    @Test
    void linksAreNotFollowed() throws IOException {
        Path outside = RunFolders.write(folder.resolve("outside/run"), SEED, "{}");
        Path inside = folder.resolve("results");
        RunFolders.write(inside.resolve("mine"), SEED, "{}");
        Files.createSymbolicLink(inside.resolve("loop"), inside);
        Files.createSymbolicLink(inside.resolve("theirs"), outside);
        Path linked = RunFolders.write(inside.resolve("linked"), SEED, "{}");
        Files.delete(linked.resolve("metrics.json"));
        Files.createSymbolicLink(linked.resolve("metrics.json"), outside.resolve("metrics.json"));
        Results results = Results.read(List.of(inside));

        assertThat(runs(results)).containsExactly("linked", "mine");
        assertThat(results.warnings())
                .containsExactlyInAnyOrder(
                        "loop: a link, not followed",
                        "theirs: a link, not followed",
                        "linked: metrics.json: expected a plain file");
        Path given = Files.createSymbolicLink(folder.resolve("given"), outside);
        assertThat(runs(Results.read(List.of(given)))).containsExactly("run");
    }

    @Test
    void whatLqerLeavesOfARunIsOneRow() throws IOException {
        RunFolders.write(
                folder.resolve("opt-lqer/evaluate_perplexity/wikitext2.json"),
                "{\"loss\": 2.302585092994046, \"perplexity\": 10.0, \"num_samples\": 128, \"seq_len\": 2048, \"batch_size\": 4}");
        RunFolders.write(folder.resolve("opt-lqer/evaluate_harness_downstream/harness_results.json"), """
                {"results": {"arc_easy": {"acc": 0.61, "acc_stderr": 0.02},
                             "lambada_openai": {"ppl": 9.1, "ppl_stderr": "N/A", "acc": 0.5}},
                 "versions": {"arc_easy": 0},
                 "config": {"model": "pretrained=NAME", "num_fewshot": 0, "limit": null}}
                """);
        RunFolders.write(folder.resolve("opt-lqer/evaluate_harness_downstream/harness_results_0.json"), """
                {"results": {"arc_easy": {"name": "arc_easy", "sample_len": 500, "acc,none": 0.612,
                                          "acc_stderr,none": "N/A", "exact_match,strict-match": 0.1}},
                 "versions": {"arc_easy": 1.0}, "n-shot": {"arc_easy": 5}, "config": {"limit": 500}}
                """);
        RunFolders.write(
                folder.resolve("bare/wikitext2.json"),
                "{\"loss\": 900.5, \"perplexity\": Infinity, \"num_samples\": 4}");
        Results results = read();

        assertThat(results.warnings())
                .containsExactly(
                        "wikitext2 was measured in several ways, which do not stand together: 128 chunks (1 run); 4"
                                + " chunks (1 run)",
                        "arc_easy was measured in several ways, which do not stand together: 0 shots (1 run); 5 shots"
                                + " (1 run)");
        assertThat(runs(results)).containsExactly("bare", "opt-lqer", "opt-lqer/harness_results_0");
        assertThat(results.rows().get(0).metrics())
                .containsEntry("perplexity/wikitext2 (4 chunks)", Double.POSITIVE_INFINITY)
                .containsEntry("perplexity/wikitext2 (4 chunks)/chunks", 4);
        assertThat(results.rows().get(1).metrics().entrySet())
                .extracting(entry -> entry.getKey() + "=" + entry.getValue())
                .containsExactlyInAnyOrder(
                        "perplexity/wikitext2 (128 chunks)=10.0",
                        "perplexity/wikitext2 (128 chunks)/protocol=lqer",
                        "perplexity/wikitext2 (128 chunks)/batch_size=4",
                        "perplexity/wikitext2 (128 chunks)/loss=2.302585092994046",
                        "perplexity/wikitext2 (128 chunks)/chunks=128",
                        "perplexity/wikitext2 (128 chunks)/seq_len=2048",
                        "arc_easy (0 shots)/acc=0.61",
                        "arc_easy (0 shots)/acc_stderr=0.02",
                        "arc_easy (0 shots)/num_fewshot=0",
                        "arc_easy (0 shots)/version=0",
                        "lambada_openai/ppl=9.1",
                        "lambada_openai/acc=0.5",
                        "lambada_openai/num_fewshot=0");
        assertThat(results.rows().get(2).metrics().entrySet())
                .extracting(entry -> entry.getKey() + "=" + entry.getValue())
                .containsExactly(
                        "arc_easy (5 shots)/acc=0.612",
                        "arc_easy (5 shots)/exact_match,strict-match=0.1",
                        "arc_easy (5 shots)/num_fewshot=5",
                        "arc_easy (5 shots)/limit=500",
                        "arc_easy (5 shots)/version=1.0");
    }

    @Test
    void aStageFolderOfLqerCanBeSearchedAlone() throws IOException {
        Path stage = folder.resolve("run/evaluate_perplexity");
        RunFolders.write(stage.resolve("wikitext2.json"), "{\"perplexity\": 10.0}");

        assertThat(runs(Results.read(List.of(stage)))).containsExactly("evaluate_perplexity");
        assertThat(runs(Results.read(List.of(folder.resolve("run"))))).containsExactly("run");
    }

    @Test
    void otherFilesOfLqersNamesAreDamagedRows() throws IOException {
        RunFolders.write(folder.resolve("a/wikitext2.json"), "{\"text\": \"a text\"}");
        RunFolders.write(folder.resolve("b/harness_results.json"), "{\"results\": []}");
        RunFolders.write(folder.resolve("c/wikitext2.json"), "{\"perplexity\": 10.0}");
        RunFolders.write(folder.resolve("c/evaluate_perplexity/wikitext2.json"), "{\"perplexity\": 11.0}");

        assertThat(read().rows())
                .extracting(ResultRow::error)
                .containsExactly(
                        "wikitext2.json: expected results as LQER writes them, found none",
                        "harness_results.json: expected results as LQER writes them, found none",
                        "wikitext2.json: there are two of this run");
    }

    @Test
    void pointsOfASweepThatFailedAreRows() throws IOException {
        RunFolders.write(folder.resolve("s/rank-8"), SEED, "{}");
        RunFolders.write(folder.resolve("s/rank-4"), SEED, "{}");
        RunFolders.write(folder.resolve("s/sweep.json"), """
                {"points": [
                  {"name": "rank-8", "state": "done"},
                  {"name": "rank-4", "state": "failed", "error": "of an earlier attempt"},
                  {"name": "rank-16", "state": "failed", "error": "rank: at most 8\\nmore"},
                  {"name": "rank-32", "state": "failed", "error": null},
                  {"name": "rank-64", "state": "pending"},
                  {"state": "failed"}, 7]}
                """);
        RunFolders.write(folder.resolve("t/sweep.json"), "{\"points\": 3}");
        Results results = read();

        assertThat(results.rows())
                .extracting(row -> row.run() + " " + row.state() + " " + row.error())
                .containsExactly(
                        "s/rank-4 done ",
                        "s/rank-8 done ",
                        "s/rank-16 failed rank: at most 8 more",
                        "s/rank-32 failed failed, no reason given");
        assertThat(results.warnings())
                .containsExactly(
                        "t/sweep.json: expected a list of points",
                        "s/rank-16: rank: at most 8 more",
                        "s/rank-32: failed, no reason given");
    }

    @Test
    void pointsThatFailedHaveTheSettingsThatTheSweepGaveThem() throws IOException {
        String whole =
                "seed = 5\n[[approximation]]\nmethod = \"l2qer\"\nrank = 2\n[weight]\nbits = 4\nblock = [1, 16]\n";
        RunFolders.write(folder.resolve("s/rank-2"), whole, "{}");
        RunFolders.write(folder.resolve("s/rank-3"), whole.replace("rank = 2", "rank = 3"), "{}");
        RunFolders.write(folder.resolve("s/a-plain"), "seed = 5\n[weight]\nbits = 4\nblock = [1, 16]\n", "{}");
        RunFolders.write(folder.resolve("s/sweep.json"), """
                {"set": ["seed=5", 7, "weight.bits = 3"], "points": [
                  {"name": "a", "state": "failed", "set": {"approximation.0.rank": 8, "weight": {"bits": 4}}},
                  {"name": "b", "state": "failed", "set": {"approximation.0.rank": 8.5, "x": [true, "t", null], "y": null}},
                  {"name": "c", "state": "failed", "set": {"a = b": 1, "seed": 1e400, "n": 99999999999999999999}},
                  {"name": "d", "state": "failed", "set": "approximation.0.rank=8"},
                  {"name": "e", "state": "failed"}]}
                """);
        Results results = read();

        assertThat(results.rows())
                .extracting(row -> row.run() + " " + row.config().values())
                .startsWith(
                        "s/a {seed=5, weight.bits=4, approximation.l2qer.rank=8}",
                        "s/a-plain {seed=5, weight.bits=4, weight.block=[1, 16]}",
                        "s/b {seed=5, weight.bits=3, approximation.l2qer.rank=8.5, x=[true, t]}",
                        "s/c {seed=Infinity, weight.bits=3, n=1.0E20}",
                        "s/d {seed=5, weight.bits=3}",
                        "s/e {seed=5, weight.bits=3}");
        assertThat(CsvText.of(ResultTable.of(results.rows())).lines().map(line -> line.replaceAll(",failed,.*", "")))
                .containsExactly(
                        "run,seed,approximation,approximation.l2qer.rank,weight.bits,seconds,peak_memory_bytes,state,error",
                        "s/a,5,,8,4,,",
                        "s/a-plain,5,,,4,0.3,1048576,done,",
                        "s/b,5,,8.5,3,,",
                        "s/c,Infinity,,,3,,",
                        "s/d,5,,,3,,",
                        "s/e,5,,,3,,",
                        "s/rank-2,5,l2qer,2,4,0.3,1048576,done,",
                        "s/rank-3,5,l2qer,3,4,0.3,1048576,done,");
    }

    @Test
    void anEmptyFolderHasNoRows() throws IOException {
        assertThat(read()).isEqualTo(new Results(List.of(), List.of()));
    }
}
