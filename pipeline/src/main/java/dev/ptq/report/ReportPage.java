package dev.ptq.report;

import dev.ptq.chart.ChartStyles;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Objects;

/**
 * Shows all runs in one self-contained page: tables and charts, for a browser and for paper. The head states what the
 * page may do: run its one script, use its one style sheet, load nothing.
 */
public final class ReportPage {
    /** A page with more runs than these is unreadable. */
    static final int MOST_RUNS = 500;

    private ReportPage() {}

    /**
     * Writes the page.
     *
     * @param title of the results
     * @param program that wrote it
     */
    public static String html(Results results, String title, String program) {
        List<ResultRow> rows =
                results.rows().subList(0, Math.min(MOST_RUNS, results.rows().size()));
        ChartStyles styles = new ChartStyles();
        List<ReportSection> sections = sections(rows, styles);
        Html body = new Html();
        body.open("header");
        body.element("h1", Html.cut(title, 200));
        body.element("p", counts(results.rows()), "class", "note");
        body.open("nav", "aria-label", "sections").open("ul");
        for (ReportSection section : sections) {
            body.open("li").element("a", section.title(), "href", "#" + section.id());
            body.close();
        }
        body.close().close().close();
        body.open("main");
        for (ReportSection section : sections) {
            body.open("section", "id", section.id()).element("h2", section.title());
            body.raw(section.html().toString()).close();
        }
        body.close();
        body.element("footer", program);
        return page(title, body.toString(), styles.css());
    }

    private static List<ReportSection> sections(List<ResultRow> rows, ChartStyles styles) {
        List<ReportSection> sections = new ArrayList<>();
        sections.add(SummarySection.of(rows));
        if (rows.stream().anyMatch(row -> !row.error().isEmpty())) {
            sections.add(SummarySection.ofFailures(rows));
        }
        RunFamilies families = RunFamilies.of(rows);
        sections.addAll(PerplexitySections.overCosts(rows, families, styles));
        sections.add(PerplexitySections.overRank(rows, families, styles));
        AllotmentSection.of(rows, styles).ifPresent(sections::add);
        sections.add(TaskSection.of(rows, styles));
        sections.add(SpectrumSection.of(rows, styles));
        sections.add(ErrorMapSection.of(rows));
        sections.add(LedgerSection.of(rows));
        sections.add(SettingsSection.of(rows));
        sections.add(ProvenanceSection.of(rows));
        return sections;
    }

    private static String counts(List<ResultRow> rows) {
        long done =
                rows.stream().filter(row -> row.state().equals(ResultRow.DONE)).count();
        String counts = rows.size() + (rows.size() == 1 ? " run, " : " runs, ") + done + " done";
        return rows.size() <= MOST_RUNS ? counts : counts + "; the first " + MOST_RUNS + " are shown";
    }

    private static String page(String title, String body, String chartStyles) {
        String style = "/*<![CDATA[*/\n" + resource("report.css") + chartStyles + "/*]]>*/";
        String script = "/*<![CDATA[*/\n" + resource("report.js") + "/*]]>*/";
        String policy = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src '"
                + digest(style) + "'; script-src '" + digest(script) + "'";
        Html head = new Html();
        head.raw("<!DOCTYPE html>\n").open("html", "lang", "en").open("head");
        head.empty("meta", "charset", "utf-8");
        head.empty("meta", "http-equiv", "Content-Security-Policy", "content", policy);
        head.empty("meta", "name", "viewport", "content", "width=device-width, initial-scale=1");
        head.empty("meta", "name", "color-scheme", "content", "light dark");
        head.empty("link", "rel", "icon", "href", "data:,");
        head.element("title", Html.cut(title, 200));
        head.raw("<style>").raw(style).raw("</style>").close();
        head.open("body").raw(body);
        head.raw("<script>").raw(script).raw("</script>").close().close();
        return head.toString();
    }

    private static String resource(String name) {
        try (InputStream in = Objects.requireNonNull(ReportPage.class.getResourceAsStream(name), name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException("the program's own " + name, e);
        }
    }

    private static String digest(String content) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(content.getBytes(StandardCharsets.UTF_8));
            return "sha256-" + Base64.getEncoder().encodeToString(hash);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java machine has SHA-256", e);
        }
    }
}
