package dev.ptq.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * The runs in folders of results.
 *
 * @param rows in natural order of their names
 * @param warnings what could not be read, one line each
 */
public record Results(List<ResultRow> rows, List<String> warnings) {
    public Results {
        rows = List.copyOf(rows);
        warnings = List.copyOf(warnings);
    }

    /**
     * Finds all runs in these folders and below them: directories of this program, results that LQER's own code left,
     * and points of sweeps that failed. Links are not followed; the cache and what is unfinished are passed over.
     *
     * @param folders several of them begin the names of their runs
     * @throws IOException if one of them does not exist; what is wrong further down becomes a warning
     */
    public static Results read(List<Path> folders) throws IOException {
        ResultSearch search = new ResultSearch();
        for (Path folder : folders) {
            search.search(folder, folders.size() == 1 ? "" : folder.normalize().toString());
        }
        return search.results();
    }
}
