package dev.ptq.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.config.ConfigException;
import dev.ptq.model.LanguageModel;
import dev.ptq.model.SyntheticModel;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelFolderTest {
    private static final String NAME = "reference";
    private static final String RESOURCE = "dev/ptq/weights/" + NAME;

    @TempDir
    Path folder;

    private final List<URLClassLoader> loaders = new ArrayList<>();
    private Path classes;
    private Path model;
    private Path cache;

    /** A program whose class files come with a model of random weights. */
    @BeforeEach
    void prepare() throws IOException {
        cache = folder.resolve("cache/models");
        classes = folder.resolve("class files");
        model = SyntheticModel.llama()
                .vocabulary(259)
                .type(StoredType.BF16)
                .tokenizer()
                .write(classes.resolve(RESOURCE));
        Files.writeString(model.resolve("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}");
        Files.writeString(model.resolve("README.md"), "# random\n");
        Files.writeString(model.resolve("loss.csv"), "step\n1\n");
        Files.writeString(model.resolve("loss.svg"), "<svg/>\n");
    }

    @AfterEach
    void closeLoaders() throws IOException {
        for (URLClassLoader loader : loaders) {
            loader.close();
        }
    }

    @Test
    void classFilesInAPlainFolderAreUsedWhereTheyAre() throws IOException {
        assertThat(ModelFolder.resolve(NAME, "", program(classes))).isEqualTo(new ModelFolder(NAME, model));
        assertThat(cache).doesNotExist();
    }

    @Test
    void aJarIsCopiedToTheCacheOnce() throws IOException {
        ShippedModels program = program(jar());
        ModelFolder found = ModelFolder.resolve(NAME, "", program);

        assertThat(found.name()).isEqualTo(NAME);
        assertThat(found.path().getParent()).isEqualTo(cache);
        assertThat(found.path().getFileName().toString()).matches("reference-[0-9a-f]{16}");
        assertHoldsTheModel(found.path());
        LanguageModel.open(found.path()).close();
        Set<Object> files = identities(found.path());
        assertThat(ModelFolder.resolve(NAME, "", program)).isEqualTo(found);
        assertThat(identities(found.path())).isEqualTo(files);
    }

    @Test
    void anotherModelOfThatNameHasAnotherFolder() throws IOException {
        ModelFolder first = ModelFolder.resolve(NAME, "", program(jar()));
        Files.writeString(model.resolve("README.md"), "# another\n");
        ModelFolder second = ModelFolder.resolve(NAME, "", program(jar()));

        assertThat(second.path()).isNotEqualTo(first.path());
        assertHoldsTheModel(second.path());
        assertThat(first.path().resolve("README.md")).hasContent("# random\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "README.md"})
    void whatIsAlteredCutShortOrGoneIsReplaced(String file) throws IOException {
        ShippedModels program = program(jar());
        Path copy = ModelFolder.resolve(NAME, "", program).path().resolve(file);
        byte[] whole = Files.readAllBytes(copy);
        byte[] altered = whole.clone();
        altered[altered.length / 2] ^= 1;

        for (byte[] wrong : List.of(altered, Arrays.copyOf(whole, whole.length / 2), new byte[0])) {
            Files.write(copy, wrong);
            assertHoldsTheModel(ModelFolder.resolve(NAME, "", program).path());
        }
        Files.delete(copy);
        assertHoldsTheModel(ModelFolder.resolve(NAME, "", program).path());
    }

    /** Nothing is shared by those that copy at once but the cache, as between processes. */
    @Test
    void manyMayCopyAtOnce() throws IOException {
        Path jar = jar();
        List<ShippedModels> programs =
                Stream.generate(() -> program(jar)).limit(8).toList();
        ExecutorService threads = Executors.newFixedThreadPool(programs.size());
        try {
            List<CompletableFuture<Path>> found = programs.stream()
                    .map(program -> CompletableFuture.supplyAsync(() -> complete(program), threads))
                    .toList();
            Set<Path> paths = found.stream().map(CompletableFuture::join).collect(Collectors.toSet());
            assertThat(paths).hasSize(1).allSatisfy(this::assertHoldsTheModel);
        } finally {
            threads.shutdown();
        }
    }

    private Path complete(ShippedModels program) {
        try {
            Path path = ModelFolder.resolve(NAME, "", program).path();
            for (String file : ShippedModels.FILES) {
                assertThat(path.resolve(file)).hasSameBinaryContentAs(model.resolve(file));
            }
            return path;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aBuildWithoutTheModelSaysSo() throws IOException {
        Files.delete(model.resolve("README.md"));
        assertThatIOException()
                .isThrownBy(() -> ModelFolder.resolve(NAME, "", program(jar())))
                .withMessage("model reference: this build of the program lacks its README.md");
        Path empty = Files.createDirectory(folder.resolve("empty"));
        assertThatIOException()
                .isThrownBy(() -> ModelFolder.resolve(NAME, "", program(empty)))
                .withMessage("model reference: this build of the program lacks its config.json");
    }

    @Test
    void anyOtherNameIsAPath() throws IOException {
        assertThat(ModelFolder.resolve(folder.toString())).isEqualTo(new ModelFolder(folder.toString(), folder));
        assertThat(ModelFolder.resolve("./src"))
                .isEqualTo(new ModelFolder("./src", Path.of("src").resolveSibling("./src")));
    }

    @ParameterizedTest
    @ValueSource(strings = {"no/such/folder", "pom.xml", "", "a\0b"})
    void saysWhatItExpects(String name) {
        assertThatThrownBy(() -> ModelFolder.resolve(name))
                .isInstanceOf(ConfigException.class)
                .hasMessage("expected the name of a shipped model (reference), the path"
                        + " of a Hugging Face model folder or of a GGUF file, or owner/name on the hub, got \"" + name
                        + "\" (a path in a file starts at its folder, others at the current directory)");
    }

    @ParameterizedTest
    @ValueSource(strings = {"refrence", "Reference", "references"})
    void suggestsTheNameThatWasMeant(String name) {
        assertThatThrownBy(() -> ModelFolder.resolve(name))
                .isInstanceOf(ConfigException.class)
                .hasMessageEndingWith("; did you mean \"reference\"?");
    }

    @Test
    void thisBuildsModelIsWhole() throws IOException {
        Path shipped = ModelFolder.resolve(NAME).path();

        assertThat(files(shipped)).containsExactlyInAnyOrderElementsOf(ShippedModels.FILES);
        LanguageModel.open(shipped).close();
    }

    private ShippedModels program(Path classFiles) {
        try {
            URLClassLoader loader =
                    new URLClassLoader(new URL[] {classFiles.toUri().toURL()}, null);
            loaders.add(loader);
            return new ShippedModels(loader, cache);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private Path jar() throws IOException {
        Path jar = Files.createTempFile(folder, "program", ".jar");
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream entries = new JarOutputStream(out)) {
            for (String file : files(model)) {
                entries.putNextEntry(new JarEntry(RESOURCE + "/" + file));
                Files.copy(model.resolve(file), entries);
                entries.closeEntry();
            }
        }
        return jar;
    }

    private void assertHoldsTheModel(Path copy) throws IOException {
        assertThat(files(copy)).containsExactlyInAnyOrderElementsOf(ShippedModels.FILES);
        for (String file : ShippedModels.FILES) {
            assertThat(copy.resolve(file)).hasSameBinaryContentAs(model.resolve(file));
        }
    }

    private static List<String> files(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }

    /** What tells a file from another that has replaced it. */
    private static Set<Object> identities(Path directory) throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(file -> {
                        try {
                            return List.of(Files.getAttribute(file, "unix:ino"), Files.getLastModifiedTime(file));
                        } catch (IOException e) {
                            throw new UncheckedIOException(e);
                        }
                    })
                    .collect(Collectors.toSet());
        }
    }
}
