package dev.ptq.layout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.ptq.family.ModelConfig;
import dev.ptq.model.Block;
import dev.ptq.model.LanguageModel;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints with changed bytes are read, or refused with a message: nothing else is thrown. */
class MutatedCheckpointsTest {
    @TempDir
    private Path folder;

    @Test
    void fiftyAreReadOrRefused() throws IOException {
        mutate(50, 1);
    }

    @Test
    @Tag("slow")
    void twoThousandAreReadOrRefused() throws IOException {
        mutate(2000, 2);
    }

    @Test
    void fiftyOfGgufAreReadOrRefused() throws IOException {
        mutateGguf(50, 3);
    }

    @Test
    @Tag("slow")
    void twoThousandOfGgufAreReadOrRefused() throws IOException {
        mutateGguf(2000, 4);
    }

    /** Files of one part: bytes of the header change, mostly; or those of weights, or the end is missing. */
    private void mutateGguf(int count, long seed) throws IOException {
        assumeTrue(Shared.find("golden/checkpoints").isPresent());
        List<Path> originals;
        try (Stream<Path> all = Files.list(Shared.find("golden/checkpoints").get())) {
            originals = all.map(path -> path.resolve("model.gguf"))
                    .filter(Files::exists)
                    .sorted()
                    .toList();
        }
        SplittableRandom random = new SplittableRandom(seed);
        Path file = folder.resolve("model.gguf");
        int refused = 0;
        for (int i = 0; i < count; i++) {
            Path original = originals.get(random.nextInt(originals.size()));
            byte[] model = Files.readAllBytes(original);
            int most = random.nextInt(4) == 0 ? model.length : Math.min(model.length, 1 << random.nextInt(5, 16));
            if (random.nextInt(5) == 0) {
                model = Arrays.copyOf(model, random.nextInt(most));
            } else {
                for (int n = 0; n < 1 + random.nextInt(3); n++) {
                    model[random.nextInt(most)] = (byte) (random.nextInt(3) == 0 ? 0xff : random.nextInt());
                }
            }
            Files.write(file, model);
            refused += isRefused(file, "mutation " + i + " of " + original) ? 1 : 0;
        }
        assertThat(refused).isBetween(count / 4, count - count / 50);
    }

    private void mutate(int count, long seed) throws IOException {
        assumeTrue(Shared.find("golden/checkpoints").isPresent());
        List<Path> originals;
        try (Stream<Path> all = Files.list(Shared.find("golden/checkpoints").get())) {
            originals = all.filter(path -> Files.exists(path.resolve("model.safetensors")))
                    .sorted()
                    .toList();
        }
        SplittableRandom random = new SplittableRandom(seed);
        int refused = 0;
        for (int i = 0; i < count; i++) {
            Path original = originals.get(random.nextInt(originals.size()));
            byte[] config = Files.readAllBytes(original.resolve("config.json"));
            byte[] model = Files.readAllBytes(original.resolve("model.safetensors"));
            int header =
                    (int) ByteBuffer.wrap(model).order(ByteOrder.LITTLE_ENDIAN).getLong();
            switch (random.nextInt(6)) {
                case 0 -> config = changedText(config, 0, config.length, random);
                case 1 -> config = cut(config, random);
                case 2 -> model = changedText(model, 8, 8 + header, random);
                case 3 -> model = Arrays.copyOf(model, random.nextInt(model.length));
                case 4 -> {
                    for (int n = 0; n < 1 + random.nextInt(4000); n++) {
                        model[random.nextInt(8 + header, model.length)] = (byte) random.nextInt();
                    }
                }
                default -> model[random.nextInt(8)] = (byte) random.nextInt();
            }
            Files.write(folder.resolve("config.json"), config);
            Files.write(folder.resolve("model.safetensors"), model);
            refused += isRefused(folder, "mutation " + i + " of " + original.getFileName()) ? 1 : 0;
        }
        // changed weights are weights, but most other changes are noticed
        assertThat(refused).isBetween(count / 3, count - count / 20);
    }

    private static boolean isRefused(Path place, String what) {
        try (LanguageModel model = LanguageModel.open(place)) {
            LanguageModel.inspect(ModelConfig.read(place), StoredCheckpoint.open(place));
            for (int block = 0; block < model.config().blocks(); block++) {
                try (Block loaded = model.load(block)) {
                    assertThat(loaded.linears()).isNotEmpty();
                }
            }
            return false;
        } catch (IOException e) {
            assertThat(e).as(what).hasMessageMatching("(?s).{10,}");
            return true;
        } catch (RuntimeException | StackOverflowError | OutOfMemoryError e) {
            throw new AssertionError(what, e);
        }
    }

    /** Replaces a digit by another, a letter by another, or a piece of text by another piece. */
    private static byte[] changedText(byte[] bytes, int from, int to, SplittableRandom random) {
        byte[] changed = bytes.clone();
        for (int n = 0; n < 1 + random.nextInt(3); n++) {
            int at = random.nextInt(from, to);
            // mostly digits, which decide the most
            for (int tries = 0; tries < 30 && !Character.isDigit(changed[at]); tries++) {
                at = random.nextInt(from, to);
            }
            byte[] choices = "0123456789-.eTrue\"{}[],:null".getBytes(StandardCharsets.US_ASCII);
            changed[at] = Character.isDigit(changed[at])
                    ? (byte) ('0' + random.nextInt(10))
                    : choices[random.nextInt(choices.length)];
        }
        return changed;
    }

    private static byte[] cut(byte[] bytes, SplittableRandom random) {
        List<String> lines = List.of(new String(bytes, StandardCharsets.UTF_8).split("\n"));
        int drop = random.nextInt(lines.size());
        StringBuilder kept = new StringBuilder();
        for (int i = 0; i < lines.size(); i++) {
            kept.append(i == drop ? "" : lines.get(i)).append('\n');
        }
        return kept.toString().getBytes(StandardCharsets.UTF_8);
    }
}
