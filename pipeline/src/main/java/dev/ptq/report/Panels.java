package dev.ptq.report;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Parts of a page that the reader picks one at a time. Without scripts all are shown, one below the other. */
final class Panels {
    private final List<String> questions;
    private final List<Set<String>> answers = new ArrayList<>();
    private final List<Panel> panels = new ArrayList<>();

    /** A panel and the answers that show it. */
    private record Panel(List<String> answers, Html html) {}

    /** Panels picked by answers to these questions, each of one word. */
    Panels(String... questions) {
        this.questions = List.of(questions);
        this.questions.forEach(question -> answers.add(new LinkedHashSet<>()));
    }

    void add(Html html, String... picked) {
        for (int i = 0; i < picked.length; i++) {
            answers.get(i).add(picked[i]);
        }
        panels.add(new Panel(List.of(picked), html));
    }

    boolean isEmpty() {
        return panels.isEmpty();
    }

    void write(Html html) {
        List<List<String>> options = answers.stream().map(List::copyOf).toList();
        html.open("div", "class", "panels").open("div", "class", "picks", "hidden", "hidden");
        for (int i = 0; i < questions.size(); i++) {
            html.open("label").text(questions.get(i) + " ").open("select");
            for (int j = 0; j < options.get(i).size(); j++) {
                html.element("option", Html.cut(options.get(i).get(j), 90), "value", String.valueOf(j));
            }
            html.close().close();
        }
        html.close();
        for (Panel panel : panels) {
            String place = IntStream.range(0, questions.size())
                    .mapToObj(i -> String.valueOf(
                            options.get(i).indexOf(panel.answers().get(i))))
                    .collect(Collectors.joining(" "));
            html.open("div", "class", "panel", "data-picked", place);
            html.element("h3", Html.cut(String.join(", ", panel.answers()), 200));
            html.raw(panel.html().toString()).close();
        }
        html.element("p", "There is none of this kind here.", "class", "note", "hidden", "hidden");
        html.close();
    }
}
