package dev.ptq.hub;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** The cache of files from the hub, in the folder it shares with Hugging Face's own programs. */
public final class HubCache {
    private final HubSettings settings;

    /** Makes the cache that the settings name; it need not exist. */
    public HubCache(HubSettings settings) {
        this.settings = settings;
    }

    /** Returns the cache of this process's environment. */
    public static HubCache ofProcess() {
        return new HubCache(HubSettings.ofProcess());
    }

    /** Returns a repository's snapshot: the last one fetched, or that of the commit it names. */
    public Optional<HubSnapshot> find(HubRepo repo) throws IOException {
        Path folder = folder(repo);
        Path ref = folder.resolve("refs").resolve(repo.revision());
        String commit = repo.revision();
        if (!repo.isCommit()) {
            if (!Files.isRegularFile(ref) || Files.size(ref) > 100) {
                return Optional.empty();
            }
            commit = new String(Files.readAllBytes(ref), StandardCharsets.ISO_8859_1).strip();
        }
        HubSnapshot snapshot = snapshot(repo, commit);
        return HubRepo.isCommit(commit) && Files.isDirectory(snapshot.folder())
                ? Optional.of(snapshot)
                : Optional.empty();
    }

    /** Says what is missing, how it could be fetched, from where, and to where. Begins in the middle of a sentence. */
    public String howToFetch(HubRepo repo, String options) {
        return "is not in " + settings.cache() + "; to fetch it there from " + settings.endpoint() + "/" + repo.page()
                + ", run `" + repo.command() + options + "`, or the same command with --online";
    }

    Path folder(HubRepo repo) {
        return settings.cache().resolve(repo.folder());
    }

    HubSnapshot snapshot(HubRepo repo, String commit) {
        Path folder = folder(repo);
        return new HubSnapshot(
                folder.resolve("snapshots").resolve(commit),
                commit,
                folder.resolve(".ptq").resolve(commit));
    }

    /** Returns the folder of lock files. */
    Path locks(HubRepo repo) {
        return settings.cache().resolve(".locks").resolve(repo.folder());
    }

    Path root() {
        return settings.cache();
    }
}
