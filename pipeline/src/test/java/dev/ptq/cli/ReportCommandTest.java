package dev.ptq.cli;

import static dev.ptq.report.ParsedPage.elements;
import static dev.ptq.report.ParsedPage.withClass;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.cli.TinyExperiment.Outcome;
import dev.ptq.report.ParsedPage;
import dev.ptq.report.RunFolders;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class ReportCommandTest {
    /** What is done to the page in a browser, and what is seen then. */
    private static final String SELF_CHECK = """
            const seen = {problems: []};
            const table = document.querySelector('#summary');
            const names = () => Array.from(table.tBodies[0].rows, row => row.cells[0].textContent).join(' ');
            const sortBy = name => {
              const button = Array.from(table.querySelectorAll('button')).find(each => each.textContent === name);
              button.click();
              return names() + ' ' + button.parentNode.getAttribute('aria-sort');
            };
            seen.before = names();
            seen.perplexity = sortBy('perplexity/tales');
            seen.perplexityAgain = sortBy('perplexity/tales');
            seen.run = sortBy('run');
            for (const svg of document.querySelectorAll('svg')) {
              if (svg.querySelectorAll('.mark, .series').length === 0) {
                seen.problems.push('nothing in ' + svg.textContent);
              }
              const box = svg.getBoundingClientRect();
              for (const text of box.width > 0 ? svg.querySelectorAll('text') : []) {
                const own = text.getBoundingClientRect();
                if (Math.min(own.left - box.left, own.top - box.top, box.right - own.right, box.bottom - own.bottom) + 1 < 0) {
                  seen.problems.push('cut: ' + text.textContent);
                }
              }
            }
            const visible = selector => Array.from(document.querySelectorAll(selector)).filter(each => each.offsetParent);
            seen.panels = visible('#spectra .panel').length;
            const pick = document.querySelectorAll('#spectra select')[1];
            pick.value = '3';
            pick.dispatchEvent(new Event('change', {bubbles: true}));
            seen.picked = visible('#spectra .panel h3').map(each => each.textContent);
            seen.styled = getComputedStyle(document.querySelector('#bits .mark path')).fill;
            seen.overflow = document.documentElement.scrollWidth - window.innerWidth;
            document.body.dataset.seen = JSON.stringify(seen);
            """;

    @TempDir
    Path folder;

    private TinyExperiment tiny;

    @BeforeEach
    void prepare() throws IOException {
        tiny = new TinyExperiment(folder);
    }

    private void run() throws IOException {
        tiny.run(TinyExperiment.CONFIG, "rank-4");
        tiny.run(TinyExperiment.CONFIG, "rank-16", "--set", "approximation.l2qer.rank=16");
        tiny.run(TinyExperiment.CONFIG, "plain", "--set", "approximation=[]");
        RunFolders.write(
                tiny.result("sweep.json"),
                "{\"points\": [{\"name\": \"rank-99\", \"state\": \"failed\", \"error\": \"too large\"}]}");
    }

    @Test
    void realRunsFillEverySection() throws IOException {
        run();
        Outcome outcome = tiny.execute("report", "DIR/results");

        assertThat(outcome)
                .isEqualTo(new Outcome(0, "report: DIR/results/report.html\n", "warning: rank-99: too large\n"));
        ParsedPage page = ParsedPage.of(Files.readString(tiny.result("report.html")));
        assertThat(withClass(page.charts("bits").get(0), "mark")).hasSize(3);
        assertThat(withClass(page.charts("rank").get(0), "mark")).hasSize(2);
        // both ranks have the same errors: two blocks of seven linears
        assertThat(page.charts("spectra")).hasSize(14);
        assertThat(withClass(page.section("spectra"), "panel")).hasSize(7);
        assertThat(page.section("spectra").getTextContent()).contains("The same in rank-4, rank-16");
        assertThat(withClass(page.section("errors"), "panel")).hasSize(3);
        assertThat(elements(page.section("errors"), "td")).hasSize(14 * 5);
        assertThat(page.section("failures").getTextContent()).contains("too large");
        assertThat(page.section("provenance").getTextContent())
                .contains("model sha256", "evaluate/quantized/tales", "Java machine");
    }

    @Test
    void thePageGoesWhereItIsWantedAndReplacesTheOldOne() throws IOException {
        RunFolders.write(tiny.result("run"), "seed = 1\n", "{}");
        Files.writeString(folder.resolve("page.html"), "old");
        Outcome outcome = tiny.execute("report", "DIR/results", "--out", "DIR/page.html");

        assertThat(outcome).isEqualTo(new Outcome(0, "report: DIR/page.html\n", ""));
        assertThat(folder.resolve("page.html"))
                .content()
                .startsWith("<!DOCTYPE html>")
                .endsWith("</html>\n");
        assertThat(tiny.result("report.html")).doesNotExist();
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files.map(file -> file.getFileName().toString())).noneMatch(name -> name.contains("partial"));
        }
        // a page among the runs is no run
        assertThat(tiny.execute("report", "DIR/results")).isEqualTo(tiny.execute("report", "DIR/results"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "DIR/empty | DIR/empty: no runs in it; a run is a folder with manifest.json and metrics.json",
                "DIR/no | DIR/no: no such folder",
                "DIR/result | DIR/result: no such folder; did you mean \"DIR/results\"?",
                "DIR/config.toml | DIR/config.toml: no such folder",
                "DIR/results --out DIR/no/x.html | DIR/no/x.html: there is no such folder to write it to",
                "DIR/results --out DIR/empty | DIR/empty: expected a file to write, found a folder",
            })
    void whatIsWrongIsSaid(String arguments, String problem) throws IOException {
        RunFolders.write(tiny.result("run"), "seed = 1\n", "{}");
        tiny.config("");
        Files.createDirectory(folder.resolve("empty"));

        assertThat(tiny.execute(("report " + arguments).split(" ", -1))).isEqualTo(new Outcome(2, "", problem + "\n"));
    }

    /** Where there is a Chromium; the rest of what is checked here is checked without one too. */
    @ParameterizedTest
    @ValueSource(strings = {"1400,1000", "500,900"})
    @Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
    void worksInABrowser(String windowSize) throws Exception {
        Optional<Path> chromium = Stream.of(System.getenv("PATH").split(File.pathSeparator, -1))
                .flatMap(path -> Stream.of("chromium", "chromium-browser", "google-chrome")
                        .map(name -> Path.of(path, name)))
                .filter(Files::isExecutable)
                .findFirst();
        assumeTrue(chromium.isPresent(), "no Chromium on the PATH");
        run();
        tiny.execute("report", "DIR/results");
        Path checked = Files.writeString(folder.resolve("checked.html"), withSelfCheck());
        Path out = folder.resolve("dom.html");
        Path err = folder.resolve("chromium.log");
        List<String> command = new ArrayList<>(List.of(
                chromium.get().toString(),
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--user-data-dir=" + folder.resolve("profile"),
                "--enable-logging=stderr",
                "--v=0",
                "--window-size=" + windowSize,
                "--dump-dom",
                checked.toUri().toString()));
        Process process = new ProcessBuilder(command)
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        if (!process.waitFor(90, TimeUnit.SECONDS)) {
            process.destroyForcibly().waitFor();
            throw new AssertionError("the browser does not end: " + Files.readString(err));
        }

        // errors of the script, and what the page's policy refuses
        assertThat(Files.readAllLines(err)).noneMatch(line -> line.contains("CONSOLE"));
        JsonNode seen = seen(Files.readString(out));
        assertThat(seen.get("problems")).isEmpty();
        assertThat(seen.get("before").asString()).isEqualTo("plain rank-4 rank-16 rank-99");
        List<String> byPerplexity = Stream.of("plain", "rank-4", "rank-16")
                .sorted((a, b) -> Double.compare(perplexity(a), perplexity(b)))
                .toList();
        assertThat(seen.get("perplexity").asString()).isEqualTo(String.join(" ", byPerplexity) + " rank-99 ascending");
        // what has no value stays at the end
        assertThat(seen.get("perplexityAgain").asString())
                .isEqualTo(byPerplexity.get(2) + " " + byPerplexity.get(1) + " " + byPerplexity.get(0)
                        + " rank-99 descending");
        assertThat(seen.get("run").asString()).isEqualTo("plain rank-4 rank-16 rank-99 ascending");
        assertThat(seen.get("panels").asInt()).isEqualTo(1);
        assertThat(seen.get("picked"))
                .extracting(JsonNode::asString)
                .containsExactly("rank-4 and 1 more, self_attn.o_proj");
        assertThat(seen.get("styled").asString()).startsWith("rgb").isNotEqualTo("rgb(0, 0, 0)");
        assertThat(seen.get("overflow").asInt()).isNotPositive();
    }

    private double perplexity(String run) {
        try {
            Double value = tiny.metrics(run).get("perplexity/tales");
            return value == null ? Double.NaN : value;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** The page with one script more, which its policy allows. */
    private String withSelfCheck() throws IOException {
        String html = Files.readString(tiny.result("report.html"));
        return html.replace("script-src &#39;", "script-src &#39;" + ParsedPage.digest(SELF_CHECK) + "&#39; &#39;")
                .replace("</body>", "<script>" + SELF_CHECK + "</script></body>");
    }

    private static JsonNode seen(String dom) {
        String start = "data-seen=\"";
        assertThat(dom).contains(start);
        int from = dom.indexOf(start) + start.length();
        return JsonMapper.shared()
                .readTree(dom.substring(from, dom.indexOf('"', from))
                        .replace("&quot;", "\"")
                        .replace("&amp;", "&"));
    }
}
