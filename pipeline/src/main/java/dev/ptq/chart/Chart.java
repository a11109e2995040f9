package dev.ptq.chart;

/** A chart that can be drawn as SVG. */
public interface Chart {
    /**
     * Draws the chart as a standalone document. Text stays text, nothing else is loaded, and labels appear on hover.
     *
     * <p>The background is transparent, and every colour stands out from both white and near black, since an image
     * cannot know which of the two is behind it. {@link ChartStyles} is for pages that do know.
     */
    String svg();
}
