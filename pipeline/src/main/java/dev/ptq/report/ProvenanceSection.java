package dev.ptq.report;

import dev.ptq.run.Manifest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;

/** The provenance of the runs: program, machine, date, sources and time taken. */
final class ProvenanceSection {
    private static final int MOST_FACTS = 60;
    private static final int MOST_STAGES = 60;
    private static final int LONGEST = 200;

    private ProvenanceSection() {}

    static ReportSection of(List<ResultRow> rows) {
        String id = "provenance";
        String title = "Provenance";
        Map<String, Manifest> manifests = new LinkedHashMap<>();
        for (ResultRow row : rows) {
            manifest(row).ifPresent(manifest -> manifests.put(row.run(), manifest));
        }
        if (manifests.isEmpty()) {
            return ReportSection.empty(id, title, "No run has a manifest that can be read.");
        }
        Html html = new Html();
        facts(html, manifests);
        html.element("h3", "Seconds of each stage");
        html.element("p", "In brackets: made before the run, and reused.", "class", "note");
        stages(html, manifests);
        fingerprints(html, manifests);
        return new ReportSection(id, title, html);
    }

    /** The manifest of a run; the row says if it is damaged. */
    private static Optional<Manifest> manifest(ResultRow row) {
        Path file = row.folder().resolve(Manifest.FILE);
        if (row.config().isEmpty() || !Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            return Optional.empty();
        }
        try {
            return Optional.of(Manifest.read(row.folder()));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    private static void facts(Html html, Map<String, Manifest> manifests) {
        Map<String, Map<String, String>> byRun = new LinkedHashMap<>();
        manifests.forEach((run, manifest) -> byRun.put(run, facts(manifest)));
        List<String> names = ResultTable.merged(
                        byRun.values().stream().map(Map::keySet).toList())
                .stream()
                .limit(MOST_FACTS)
                .toList();
        Map<Boolean, List<String>> shared = names.stream()
                .collect(Collectors.partitioningBy(name -> byRun.values().stream()
                                .map(facts -> facts.getOrDefault(name, ""))
                                .distinct()
                                .count()
                        == 1));
        Map<String, String> first = byRun.values().iterator().next();
        html.open("div", "class", "scroll").open("table", "class", "facts").element("caption", "In all runs");
        html.open("tbody");
        for (String name : Objects.requireNonNull(shared.get(true))) {
            html.open("tr").element("th", Html.cut(name, LONGEST), "scope", "row");
            html.element("td", Html.cut(first.getOrDefault(name, ""), LONGEST), "class", "long")
                    .close();
        }
        html.close().close().close();
        List<String> own = Objects.requireNonNull(shared.get(false));
        if (!own.isEmpty()) {
            header(html, "sortable", "In each run", own);
            byRun.forEach((run, facts) -> {
                html.open("tr").element("th", Html.cut(run, LONGEST), "scope", "row");
                own.forEach(name -> html.element("td", Html.cut(facts.getOrDefault(name, ""), LONGEST)));
                html.close();
            });
            html.close().close().close();
        }
    }

    private static Map<String, String> facts(Manifest manifest) {
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("ptq", manifest.program().version());
        facts.put("commit", manifest.program().commit());
        facts.put("Java machine", manifest.machine().jvm());
        facts.put("system", manifest.machine().os());
        manifest.machine().cpu().ifPresent(cpu -> facts.put("processor", cpu));
        facts.put("cores", String.valueOf(manifest.machine().cores()));
        facts.put("threads", String.valueOf(manifest.program().threads()));
        facts.put("memory, GiB", gibibytes(manifest.machine().memoryBytes()));
        flatten("", manifest.program().sources(), facts);
        facts.put("started", manifest.started().toString());
        facts.put("seconds", String.format(Locale.ROOT, "%.1f", manifest.seconds()));
        manifest.peakMemoryBytes().ifPresent(bytes -> facts.put("peak memory, GiB", gibibytes(bytes)));
        facts.put("fingerprint", manifest.fingerprint());
        return facts;
    }

    private static String gibibytes(long bytes) {
        return String.format(Locale.ROOT, "%.2f", bytes / (double) (1 << 30));
    }

    /** Flattens seeds and digests, nested maps, to dotted names. */
    private static void flatten(String name, Object value, Map<String, String> facts) {
        if (value instanceof Map<?, ?> map && name.length() < LONGEST) {
            map.forEach((key, inner) -> flatten(name.isEmpty() ? String.valueOf(key) : name + " " + key, inner, facts));
        } else if (facts.size() < MOST_FACTS) {
            facts.put(name, String.valueOf(value));
        }
    }

    private static void stages(Html html, Map<String, Manifest> manifests) {
        List<String> names =
                ResultTable.merged(manifests.values().stream()
                                .map(manifest -> manifest.stages().keySet())
                                .toList())
                        .stream()
                        .limit(MOST_STAGES)
                        .toList();
        header(html, "sortable", "", names);
        manifests.forEach((run, manifest) -> {
            html.open("tr").element("th", Html.cut(run, LONGEST), "scope", "row");
            for (String name : names) {
                Manifest.StageEntry stage = manifest.stages().get(name);
                if (stage == null) {
                    html.element("td", "");
                } else {
                    String seconds = String.format(Locale.ROOT, "%.1f", stage.seconds());
                    html.element(
                            "td",
                            stage.reused() ? "(" + seconds + ")" : seconds,
                            "class",
                            "number",
                            "data-value",
                            String.valueOf(stage.seconds()));
                }
            }
            html.close();
        });
        html.close().close().close();
    }

    private static void fingerprints(Html html, Map<String, Manifest> manifests) {
        html.open("details").element("summary", "Fingerprints of the stages");
        header(html, "", "", List.of("stage", "version", "made", "fingerprint"));
        manifests.forEach((run, manifest) -> manifest.stages().entrySet().stream()
                .filter(entry -> entry.getValue() != null)
                .limit(MOST_STAGES)
                .forEach(entry -> {
                    html.open("tr").element("th", Html.cut(run, LONGEST), "scope", "row");
                    html.element("td", Html.cut(entry.getKey(), LONGEST));
                    html.element("td", String.valueOf(entry.getValue().version()));
                    html.element("td", entry.getValue().made().toString());
                    html.element("td", Html.cut(entry.getValue().fingerprint(), LONGEST))
                            .close();
                }));
        html.close().close().close().close();
    }

    /** Opens a table with a column for the run and one per name, ready for rows. */
    private static void header(Html html, String kind, String caption, List<String> names) {
        html.open("div", "class", "scroll").open("table", "class", kind);
        if (!caption.isEmpty()) {
            html.element("caption", caption);
        }
        html.open("thead").open("tr");
        header(html, kind, "run");
        names.forEach(name -> header(html, kind, name));
        html.close().close().open("tbody");
    }

    private static void header(Html html, String kind, String name) {
        String shown = Html.cut(name, LONGEST);
        html.open("th", "scope", "col");
        if (kind.equals("sortable")) {
            html.open("button", "type", "button").name(shown).close();
        } else {
            html.text(shown);
        }
        html.close();
    }
}
