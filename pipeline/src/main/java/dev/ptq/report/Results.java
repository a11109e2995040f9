package dev.ptq.report;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * The runs in folders of results.
 *
 * @param rows in natural order of their names; results of the same name are comparable
 * @param warnings about unreadable files, and results that are not comparable, one line each
 */
public record Results(List<ResultRow> rows, List<String> warnings) {
    public Results {
        rows = List.copyOf(rows);
        warnings = List.copyOf(warnings);
    }

    /**
     * Finds all runs in these folders and below them: directories of this program, results of LQER's own code, and
     * points of sweeps that failed. Links are not followed; the cache and unfinished work are skipped.
     *
     * @param folders if there are several, they begin the names of their runs
     * @throws IOException if one of them does not exist; problems further down become warnings
     */
    public static Results read(List<Path> folders) throws IOException {
        ResultSearch search = new ResultSearch();
        for (Path folder : folders) {
            search.search(folder, folders.size() == 1 ? "" : folder.normalize().toString());
        }
        return search.results();
    }
}
