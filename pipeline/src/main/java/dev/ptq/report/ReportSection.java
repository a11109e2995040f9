package dev.ptq.report;

/**
 * A section of the page.
 *
 * @param id target of links
 */
record ReportSection(String id, String title, Html html) {
    /** A section with nothing to show, and the reason. */
    static ReportSection empty(String id, String title, String reason) {
        Html html = new Html();
        html.element("p", reason, "class", "note");
        return new ReportSection(id, title, html);
    }
}
