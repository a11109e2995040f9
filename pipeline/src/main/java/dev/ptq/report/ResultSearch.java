package dev.ptq.report;

import dev.ptq.artifact.RunFiles;
import dev.ptq.config.FlatConfig;
import dev.ptq.config.NaturalOrder;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Searches folders and turns the runs it finds into rows. */
final class ResultSearch {
    private final List<ResultRow> rows = new ArrayList<>();
    private final List<String> warnings = new ArrayList<>();

    /** Folders already visited by an earlier search, so that overlapping searches give each run once. */
    private final Set<Path> seen = new HashSet<>();

    /** A folder to search, with links resolved, and the prefix of its runs' names. */
    private record Root(Path path, String prefix) {
        /** The name of a folder; that of the root itself is the prefix alone. */
        String name(Path folder) {
            String below = path.relativize(folder)
                    .toString()
                    .replace(path.getFileSystem().getSeparator(), "/");
            return join(prefix, below);
        }

        String runName(Path folder) {
            String name = name(folder);
            return name.isEmpty() ? String.valueOf(folder.getFileName()) : name;
        }

        /** The run folder of an LQER file; the file's own folder if that lies outside the search. */
        Path lqerRun(Path file) {
            Path folder = LqerFiles.runFolder(file);
            return folder.startsWith(path) ? folder : file.resolveSibling("");
        }
    }

    private static String join(String outer, String inner) {
        return outer.isEmpty() || inner.isEmpty() ? outer + inner : outer + "/" + inner;
    }

    /** Searches a folder, which may be a link. */
    void search(Path folder, String prefix) throws IOException {
        Root root = new Root(folder.toRealPath(), prefix);
        List<Path> lqer = new ArrayList<>();
        List<Path> sweeps = new ArrayList<>();
        Files.walkFileTree(root.path(), new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path directory, BasicFileAttributes attributes) {
                boolean passedOver = !directory.equals(root.path()) && isPassedOver(directory);
                if (passedOver || !seen.add(directory)) {
                    return FileVisitResult.SKIP_SUBTREE;
                }
                if (RunFolder.isRun(directory)) {
                    rows.add(RunFolder.row(root.runName(directory), directory));
                    return FileVisitResult.SKIP_SUBTREE;
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                String name = String.valueOf(file.getFileName());
                boolean ofLqer = LqerFiles.isOne(name);
                boolean ofSweep = name.equals(RunFiles.SWEEP);
                if (attributes.isSymbolicLink()) {
                    if (ofLqer || ofSweep || Files.isDirectory(file)) {
                        warnings.add(root.name(file) + ": a link, not followed");
                    }
                } else if (ofLqer) {
                    lqer.add(file);
                } else if (ofSweep) {
                    sweeps.add(file);
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException reason) {
                warnings.add(root.name(file) + ": cannot be read"
                        + (reason instanceof AccessDeniedException ? ", access denied" : ""));
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException reason) {
                if (reason != null) {
                    warnings.add(root.name(directory) + ": cannot be read to its end");
                }
                return FileVisitResult.CONTINUE;
            }
        });
        addLqer(root, lqer);
        addPoints(root, sweeps);
    }

    /** Caches are hidden; a run being made or replaced is marked by its name. */
    private static boolean isPassedOver(Path directory) {
        String name = String.valueOf(directory.getFileName());
        return name.startsWith(".") || name.endsWith(".partial") || name.endsWith(".partial~");
    }

    /** Adds one row per run, from both kinds of its files. */
    private void addLqer(Root root, List<Path> files) {
        Map<String, List<Path>> runs = files.stream()
                .sorted()
                .collect(Collectors.groupingBy(
                        file -> root.runName(root.lqerRun(file)) + LqerFiles.suffix(String.valueOf(file.getFileName())),
                        LinkedHashMap::new,
                        Collectors.toList()));
        runs.forEach((run, parts) -> {
            Map<String, Object> metrics = new LinkedHashMap<>();
            List<String> problems = new ArrayList<>();
            for (Path part : parts) {
                try {
                    Map<String, Object> more = LqerFiles.metrics(part);
                    if (!Collections.disjoint(metrics.keySet(), more.keySet())) {
                        throw new IOException(part.getFileName() + ": there are two of this run");
                    }
                    metrics.putAll(more);
                } catch (IOException e) {
                    problems.add(String.valueOf(e.getMessage()));
                }
            }
            rows.add(ResultRow.of(
                    run,
                    root.lqerRun(parts.get(0)),
                    metrics,
                    problems.isEmpty() ? ResultRow.DONE : ResultRow.DAMAGED,
                    String.join("; ", problems)));
        });
    }

    /** Adds what only a sweep knows: points that failed, unless they were run later, and the alternatives of its axes. */
    private void addPoints(Root root, List<Path> files) {
        Set<String> known = rows.stream().map(ResultRow::run).collect(Collectors.toSet());
        for (Path file : files) {
            Path folder = file.resolveSibling("");
            FlatConfig like = rows.stream() // the one with the most steps and texts
                    .sorted(Comparator.comparing(ResultRow::run))
                    .filter(row -> folder.equals(row.folder().getParent()))
                    .map(ResultRow::config)
                    .filter(config -> !config.isEmpty())
                    .max(Comparator.comparing(config -> config.values().size()))
                    .orElse(FlatConfig.none());
            try {
                for (SweepPoints.Failure failure : SweepPoints.failures(file)) {
                    String run = join(root.name(folder), failure.point());
                    if (known.add(run)) {
                        FlatConfig settings = FlatConfig.ofChanges(failure.changes(), like);
                        rows.add(ResultRow.ofFailure(run, folder, settings, failure.state(), failure.error()));
                    }
                }
                Map<String, Map<String, String>> axes = new LinkedHashMap<>();
                SweepPoints.axes(file).forEach((point, own) -> axes.put(join(root.name(folder), point), own));
                rows.replaceAll(row -> axes.containsKey(row.run()) ? row.with(axes.get(row.run())) : row);
            } catch (IOException e) {
                warnings.add(join(root.name(folder), String.valueOf(e.getMessage())));
            }
        }
    }

    Results results() {
        List<ResultRow> sorted = rows.stream()
                .sorted(Comparator.comparing(ResultRow::run, NaturalOrder.INSTANCE))
                .toList();
        List<String> all = new ArrayList<>(warnings);
        sorted.stream().filter(row -> !row.error().isEmpty()).forEach(row -> all.add(row.run() + ": " + row.error()));
        Comparability.Separated separated = Comparability.separated(sorted);
        all.addAll(separated.notes());
        return new Results(
                separated.rows(),
                all.stream().map(text -> text.replaceAll("\\p{Cntrl}+", " ")).toList());
    }
}
