package dev.ptq.hub;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The files of a repository at one commit, as the hub lists them.
 *
 * @param names relative paths, none of which leads elsewhere
 */
public record HubListing(HubRepo repo, String commit, List<String> names) {
    private static final int LONGEST = 1000;

    static HubListing of(HubRepo repo, byte[] json, String source) throws IOException {
        JsonNode answer;
        try {
            answer = JsonMapper.shared().readTree(json);
        } catch (JacksonException e) {
            throw new IOException(source + ": not valid JSON: " + e.getOriginalMessage(), e);
        }
        String commit = answer.path("sha").asString("");
        if (!HubRepo.isCommit(commit)) {
            throw new IOException(source + ": expected a commit under \"sha\", got " + answer.path("sha"));
        }
        List<String> names = new ArrayList<>();
        for (JsonNode sibling : answer.path("siblings")) {
            String name = sibling.path("rfilename").asString("");
            if (!isSafe(name)) {
                throw new IOException(source + ": lists a file called " + sibling.path("rfilename")
                        + ", which is no name for one in a folder");
            }
            names.add(name);
        }
        return new HubListing(repo, commit, names);
    }

    /** Returns whether a name stays below the folder that it is resolved against, on any system. */
    static boolean isSafe(String name) {
        if (name.isEmpty()
                || name.length() > LONGEST
                || name.chars().anyMatch(c -> c < ' ' || c == 127 || c == '\\' || c == ':')) {
            return false;
        }
        for (String part : name.split("/", -1)) {
            if (part.isEmpty() || part.equals(".") || part.equals("..")) {
                return false;
            }
        }
        return true;
    }
}
