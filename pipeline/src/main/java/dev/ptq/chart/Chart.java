package dev.ptq.chart;

/** What can be drawn. */
public interface Chart {
    /**
     * Draws the chart as a document of its own. Text stays text, and nothing else is loaded. What has a label shows it
     * when pointed at.
     *
     * <p>The background is transparent, and every colour stands out from white and from near black alike, since an image
     * cannot know which of the two it lies on. {@link ChartStyles} is for pages that do know.
     */
    String svg();
}
