package dev.ptq.run;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;

/** The identity of an artifact: SHA-256, in hexadecimal, of the canonical text of everything that decides it. */
final class Fingerprint {
    private record OfStage(String name, int version, Record settings, List<String> inputs) {}

    private record OfPlan(List<String> stages) {}

    private Fingerprint() {}

    /** Identifies a stage's output, given the fingerprints of its inputs in the stage's order. */
    static String of(Stage stage, List<String> inputs) {
        return sha256(new OfStage(stage.name(), stage.version(), stage.settings(), inputs), stage.name());
    }

    /** Identifies a whole run by the fingerprints of its stages. */
    static String of(Collection<String> stages) {
        return sha256(new OfPlan(List.copyOf(stages)), "plan");
    }

    private static String sha256(Record identity, String path) {
        byte[] text = CanonicalText.of(identity, path).getBytes(StandardCharsets.UTF_8);
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
