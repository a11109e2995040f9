package dev.ptq.hub;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A repository on the hub.
 *
 * @param name {@code owner/name}
 * @param revision a branch, a tag or a commit
 */
public record HubRepo(Kind kind, String name, String revision) {
    /** The type of repository. */
    public enum Kind {
        MODEL("model", "models", ""),
        DATASET("data set", "datasets", "datasets/");

        private final String noun;
        private final String plural;
        private final String prefix;

        Kind(String noun, String plural, String prefix) {
            this.noun = noun;
            this.plural = plural;
            this.prefix = prefix;
        }

        /** Returns the word in messages. */
        public String noun() {
            return noun;
        }
    }

    /** The default revision. */
    public static final String MAIN = "main";

    private static final Pattern WRITTEN =
            Pattern.compile("(?<name>[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95})"
                    + "(@(?<revision>[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}))?");
    private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");

    /** Reads {@code owner/name} or {@code owner/name@revision}; empty if it is neither. */
    public static Optional<HubRepo> parse(Kind kind, String written) {
        Matcher matcher = WRITTEN.matcher(written);
        // the hub forbids these too; a name with dashes would share its folder with another
        if (!matcher.matches()
                || written.contains("..")
                || matcher.group("name").contains("--")) {
            return Optional.empty();
        }
        String revision = matcher.group("revision");
        if (revision != null && (revision.contains("//") || revision.endsWith("/"))) {
            return Optional.empty();
        }
        return Optional.of(new HubRepo(kind, matcher.group("name"), revision == null ? MAIN : revision));
    }

    /** Returns the repository as it is written. */
    public String label() {
        return revision.equals(MAIN) ? name : name + "@" + revision;
    }

    /** Returns the command that fetches it, without the options for parts of a data set. */
    public String command() {
        return "ptq fetch " + label() + (kind == Kind.DATASET ? " --dataset" : "");
    }

    /** Returns the name of its folder in the cache. */
    String folder() {
        return kind.plural + "--" + name.replace("/", "--");
    }

    /** Returns its page, below the endpoint. */
    String page() {
        return kind.prefix + name;
    }

    /** Returns the address of its file list, below the endpoint. */
    String api() {
        return "api/" + kind.plural + "/" + name + "/revision/" + revision.replace("/", "%2F");
    }

    boolean isCommit() {
        return isCommit(revision);
    }

    static boolean isCommit(String revision) {
        return COMMIT.matcher(revision).matches();
    }
}
