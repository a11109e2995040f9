package dev.ptq.sweep;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Finds places that other machines do not see.
 *
 * @param local paths, and types of file systems
 */
record NodeLocal(List<String> local) {
    /** Returns a problem for each place, by what it is, that is on this machine only. */
    List<String> problems(Map<String, List<Path>> places) throws IOException {
        List<String> problems = new ArrayList<>();
        for (Map.Entry<String, List<Path>> entry : places.entrySet()) {
            for (Path path : entry.getValue()) {
                String reason = reason(path);
                if (!reason.isEmpty()) {
                    problems.add(entry.getKey() + " is at " + path + ", which nodes do not share: " + reason
                            + "; move it, or change node_local in the launcher's settings");
                    break;
                }
            }
        }
        return problems;
    }

    private String reason(Path path) throws IOException {
        Path there = path.toAbsolutePath().normalize();
        while (!Files.exists(there) && there.getParent() != null) {
            there = there.getParent();
        }
        there = there.toRealPath();
        for (String place : local) {
            if (place.startsWith("/") && there.startsWith(place)) {
                return "it is below " + place;
            }
        }
        String type = Files.getFileStore(there).type();
        return local.contains(type) ? "its file system is a " + type : "";
    }
}
