package dev.ptq.report;

/**
 * A part of the page.
 *
 * @param id what links name
 */
record ReportSection(String id, String title, Html html) {
    /** A part that has nothing to show, and why. */
    static ReportSection empty(String id, String title, String reason) {
        Html html = new Html();
        html.element("p", reason, "class", "note");
        return new ReportSection(id, title, html);
    }
}
