package dev.ptq.progress;

/** The progress of a long computation. Closed when it ends, done or not. */
public interface Progress extends AutoCloseable {
    /** Reports the number of units done so far, counted from the start. */
    void step(long done);

    @Override
    void close();

    /** Starts progress in one form; the program chooses the form, computations only report. */
    @FunctionalInterface
    interface Reporter {
        /**
         * Starts a computation.
         *
         * @param what is computed, such as {@code perplexity tinystories}
         * @param total number of units
         * @param unit of the count, in the plural, such as {@code chunks}
         */
        Progress start(String what, long total, String unit);

        /** A bar on a terminal, log lines anywhere else. */
        @SuppressWarnings("SystemConsoleNull") // not null from Java 22 on: there, a bar even where stdout is a file
        static Reporter forTerminal() {
            String terminal = System.getenv().getOrDefault("TERM", "dumb");
            return System.console() == null || terminal.equals("dumb") ? lines() : bar();
        }

        /** A bar on stderr. */
        static Reporter bar() {
            return Bar::new;
        }

        /** Occasional lines in the log. */
        static Reporter lines() {
            return LogLines::new;
        }

        /** No output. */
        static Reporter none() {
            return (what, total, unit) -> new Silence();
        }
    }
}
