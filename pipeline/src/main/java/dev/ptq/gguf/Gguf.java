package dev.ptq.gguf;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/** A model in GGUF: one file, or all parts of one that was split. Only headers are read, and nothing stays open. */
public final class Gguf {
    /** The ending of such files. */
    public static final String ENDING = ".gguf";

    private static final Pattern PART = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf");
    private static final String PARTS = "split.count";
    private static final String INDEX = "split.no";
    private static final String TENSORS = "split.tensors.count";
    private static final String ARCHITECTURE = "general.architecture";

    private final GgufMetadata metadata;
    private final List<Path> files;
    private final Map<String, GgufTensor> tensors;

    private Gguf(GgufMetadata metadata, List<Path> files, Map<String, GgufTensor> tensors) {
        this.metadata = metadata;
        this.files = files;
        this.tensors = tensors;
    }

    /** Returns whether a path is that of such a file, by its name. */
    public static boolean isNameOf(Path path) {
        return path.toString().endsWith(ENDING);
    }

    /** Returns whether a file is a later part of a split one. */
    public static boolean isLaterPart(Path path) {
        Matcher name = PART.matcher(String.valueOf(path.getFileName()));
        return name.matches() && !name.group(2).equals("00001");
    }

    /** Returns the names of all parts of a file of which the first is given; its own alone, if it is not split. */
    public static List<String> parts(String first) {
        Matcher name = PART.matcher(first);
        if (!name.matches()) {
            return List.of(first);
        }
        return IntStream.rangeClosed(1, Integer.parseInt(name.group(3)))
                .mapToObj(i -> String.format("%s-%05d-of-%s%s", name.group(1), i, name.group(3), ENDING))
                .toList();
    }

    /**
     * Reads the header of a file, and those of the other parts if it is the first of several.
     *
     * @throws IOException naming the file, and the key or tensor at fault
     */
    public static Gguf open(Path file) throws IOException {
        GgufFile first = GgufFile.open(file);
        int count = part(first, 0);
        if (count == 1) {
            return new Gguf(first.metadata(), List.of(file), first.tensors());
        }
        List<String> names = parts(String.valueOf(file.getFileName()));
        if (names.size() != count) {
            throw first.metadata()
                    .wrong(
                            PARTS,
                            "has " + count + " parts; expected a name that ends in -00001-of-"
                                    + String.format("%05d", count) + ENDING);
        }
        List<Path> files = new ArrayList<>(List.of(file));
        Map<String, GgufTensor> tensors = new LinkedHashMap<>(first.tensors());
        for (int i = 1; i < count; i++) {
            Path part = file.resolveSibling(names.get(i));
            GgufFile opened = GgufFile.open(part);
            if (part(opened, i) != count) {
                throw opened.metadata().wrong(PARTS, "expected " + count + ", as " + file.getFileName() + " has it");
            }
            for (GgufTensor tensor : opened.tensors().values()) {
                if (tensors.put(tensor.name(), tensor) != null) {
                    throw new IOException(tensor.origin() + ": is in another part too");
                }
            }
            files.add(part);
        }
        OptionalLong promised = first.metadata().optionalWhole(TENSORS);
        if (promised.isPresent() && promised.getAsLong() != tensors.size()) {
            throw first.metadata()
                    .wrong(TENSORS, "promises " + promised.getAsLong() + " tensors, the parts have " + tensors.size());
        }
        return new Gguf(first.metadata(), List.copyOf(files), Collections.unmodifiableMap(tensors));
    }

    /** The number of parts, of which this must be the one of that index. */
    private static int part(GgufFile file, int index) throws IOException {
        GgufMetadata metadata = file.metadata();
        long count = metadata.optionalWhole(PARTS).orElse(1);
        if (count < 1 || count > 99_999) {
            throw metadata.wrong(PARTS, "expected 1 to 99999 parts, got " + count);
        }
        long own = metadata.optionalWhole(INDEX).orElse(0);
        if (own != index) {
            throw metadata.wrong(
                    INDEX,
                    "expected part " + index + ", counted from 0, got " + own
                            + (index == 0 ? "; open the first part, -00001-of-" : ""));
        }
        return (int) count;
    }

    /** The file, or all parts. */
    public List<Path> files() {
        return files;
    }

    /** The first or only file. */
    public Path file() {
        return files.get(0);
    }

    /** All tensors by their names in the file. */
    public Map<String, GgufTensor> tensors() {
        return tensors;
    }

    GgufMetadata metadata() {
        return metadata;
    }

    /** A tensor, if it is there. */
    Optional<GgufTensor> tensor(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /**
     * The keys of the {@code config.json} that describes this model.
     *
     * @throws IOException naming file and key, if the architecture or a key of it is not known, or what tensors show is
     *     another model
     */
    public Map<String, Object> config() throws IOException {
        return architecture().config(this);
    }

    /**
     * The tensors under the names that the model of {@link #config} has for them, and those under their own that have
     * no place there.
     *
     * @throws IOException as {@link #config}
     */
    public Map<String, GgufPlace> places() throws IOException {
        return architecture().places(this);
    }

    private GgufArchitecture architecture() throws IOException {
        return GgufArchitecture.named(metadata.text(ARCHITECTURE))
                .orElseThrow(() -> metadata.wrong(
                        ARCHITECTURE,
                        "expected one of " + GgufArchitecture.names() + ", got \""
                                + metadata.values().get(ARCHITECTURE) + "\"; nothing was computed"));
    }

    /** The tokenizer in the metadata. */
    public GgufTokenizer tokenizer() throws IOException {
        return GgufTokenizer.read(metadata);
    }
}
