package dev.ptq.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIOException;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.ptq.config.ConfigException;
import dev.ptq.hub.FakeHub.Fault;
import dev.ptq.hub.HubRepo.Kind;
import dev.ptq.progress.Progress;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.slf4j.LoggerFactory;

class HubTest {
    private static final String TOKEN = "hf_secretTOKEN";
    private static final HubRepo MODEL = HubRepo.parse(Kind.MODEL, "owner/tiny").orElseThrow();
    private static final String WEIGHTS = "model.safetensors";

    @TempDir
    Path folder;

    private final Map<String, String> variables = new HashMap<>();
    private final ListAppender<ILoggingEvent> messages = new ListAppender<>();
    private final Logger log = (Logger) LoggerFactory.getLogger("dev.ptq.hub");
    private final byte[] weights = new byte[3 << 20];
    private FakeHub server;
    private String commit;

    @BeforeEach
    void prepare() throws IOException {
        new SplittableRandom(3).nextBytes(weights);
        server = new FakeHub();
        commit = server.commit(
                "models/owner/tiny",
                Map.of(
                        "config.json",
                        text("{}"),
                        WEIGHTS,
                        weights,
                        "data/an odd näme#1.txt",
                        text("odd"),
                        "empty.txt",
                        new byte[0]));
        variables.put("HF_ENDPOINT", server.endpoint() + "/");
        variables.put("HF_HOME", folder.resolve("home").toString());
        messages.start();
        log.addAppender(messages);
        log.setLevel(Level.INFO);
    }

    @AfterEach
    void close() {
        log.detachAppender(messages);
        log.setLevel(null);
        server.close();
    }

    @Test
    void filesLieWhereHuggingFacesOwnProgramsLookForThem() throws IOException {
        HubSnapshot snapshot = fetch("config.json", WEIGHTS, "data/an odd näme#1.txt", "empty.txt");

        Path repo = folder.resolve("home/hub/models--owner--tiny");
        assertThat(repo.resolve("refs/main")).hasContent(commit);
        assertThat(snapshot)
                .extracting(HubSnapshot::folder, HubSnapshot::commit)
                .containsExactly(repo.resolve("snapshots").resolve(commit), commit);
        assertThat(Files.readSymbolicLink(snapshot.folder().resolve("config.json")))
                .isEqualTo(Path.of("../../blobs/" + FakeHub.gitHash(text("{}"))));
        assertThat(Files.readSymbolicLink(snapshot.folder().resolve("data/an odd näme#1.txt")))
                .isEqualTo(Path.of("../../../blobs/" + FakeHub.gitHash(text("odd"))));
        assertThat(Files.readSymbolicLink(snapshot.folder().resolve(WEIGHTS)))
                .isEqualTo(Path.of("../../blobs/" + FakeHub.sha256(weights)));
        assertThat(snapshot.folder().resolve(WEIGHTS)).hasBinaryContent(weights);
        assertThat(snapshot.folder().resolve("empty.txt")).isEmptyFile();
        assertThat(files(repo.resolve("blobs"))).hasSize(4).noneMatch(name -> name.contains("incomplete"));
        assertThat(cache().find(MODEL)).contains(snapshot);
        assertThat(snapshot.names())
                .containsExactlyInAnyOrder("config.json", WEIGHTS, "data/an odd näme#1.txt", "empty.txt");
    }

    @Test
    void whatIsThereIsNotAskedForAgain() throws IOException {
        fetch("config.json", WEIGHTS);
        server.requests.clear();
        fetch("config.json", WEIGHTS);

        assertThat(server.requests).containsExactly("GET /api/models/owner/tiny/revision/main");
        String next = server.commit("models/owner/tiny", Map.of("config.json", text("{ }"), WEIGHTS, weights));
        server.requests.clear();
        HubSnapshot newer = fetch("config.json", WEIGHTS);
        assertThat(newer.commit()).isEqualTo(next);
        assertThat(newer.folder().resolve(WEIGHTS)).hasBinaryContent(weights);
        // the same content under another commit
        assertThat(server.asked("+GET")).isZero();
    }

    @Test
    void findsWhatOtherProgramsFetched() throws IOException {
        Path repo = folder.resolve("home/hub/datasets--owner--set");
        Files.createDirectories(repo.resolve("snapshots/" + "a".repeat(40) + "/data"));
        Files.createDirectories(repo.resolve("refs/pr"));
        Files.writeString(repo.resolve("refs/pr/1"), "a".repeat(40));
        Files.writeString(repo.resolve("refs/broken"), "../../..");
        Files.writeString(repo.resolve("snapshots/" + "a".repeat(40) + "/data/x.txt"), "x");

        assertThat(find("owner/set@pr/1").names()).containsExactly("data/x.txt");
        assertThat(find("owner/set@" + "a".repeat(40)).has("data/x.txt")).isTrue();
        for (String none : List.of(
                "owner/set", "owner/set@broken", "owner/set@pr", "owner/other", "owner/set@" + "b".repeat(40))) {
            assertThat(cache().find(HubRepo.parse(Kind.DATASET, none).orElseThrow()))
                    .isEmpty();
        }
        assertThat(server.requests).isEmpty();
    }

    @Test
    void goesOnWhereAConnectionBroke() throws IOException {
        server.fault(WEIGHTS, new Fault.Drop(1000), new Fault.Drop(2_000_000), new Fault.Drop(0));
        assertThat(fetch(WEIGHTS).folder().resolve(WEIGHTS)).hasBinaryContent(weights);

        String path = "+GET /" + FakeHub.sha256(weights) + "/" + WEIGHTS;
        assertThat(server.requests.stream().filter(request -> request.startsWith("+GET")))
                .hasSize(4)
                .first()
                .isEqualTo(path);
        // the client may lose what was in its buffers when the connection broke, but never goes back
        assertThat(server.requests.stream()
                        .filter(request -> request.startsWith("+GET"))
                        .skip(2)
                        .map(request -> Integer.parseInt(request.replaceAll(".*bytes=|-.*$", ""))))
                .isSorted()
                .allMatch(from -> from > 0);
    }

    @Test
    void aLaterCommandGoesOnWithWhatIsThere() throws IOException {
        // more than it may ask for: the HTTP client may ask again by itself when a connection ends at once
        List<Fault> failures = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            failures.add(new Fault.Drop(0));
            failures.addAll(Collections.nCopies(4, new Fault.Status(503, Map.of())));
        }
        server.fault(WEIGHTS, failures.toArray(Fault[]::new));
        assertThatIOException()
                .isThrownBy(() -> fetch(WEIGHTS))
                .withMessageMatching(
                        "http://.*/model.safetensors: .*, asked 5 times; the same command goes on from here");
        // however each of them failed, five are five
        assertThat(server.asked("+GET")).isBetween(1L, 10L);
        server.fault(WEIGHTS);
        Path partial =
                folder.resolve("home/hub/models--owner--tiny/blobs/" + FakeHub.sha256(weights) + ".ptq.incomplete");
        Files.write(partial, Arrays.copyOf(weights, 1_000_000));
        server.requests.clear();

        assertThat(fetch(WEIGHTS).folder().resolve(WEIGHTS)).hasBinaryContent(weights);
        assertThat(server.asked("bytes=1000000-")).isPositive();
        assertThat(partial).doesNotExist();
    }

    @Test
    void aServerThatLiesGetsAnotherChance() throws IOException {
        List<Fault> lies = List.of(
                new Fault.Length(500),
                new Fault.Length(-500),
                new Fault.More(),
                new Fault.Garbage(),
                new Fault.Status(503, Map.of()),
                new Fault.Status(416, Map.of()),
                new Fault.Stall(5000));
        for (Fault lie : lies) {
            server.fault(WEIGHTS, lie);
            assertThat(fetch(WEIGHTS).folder().resolve(WEIGHTS)).as("%s", lie).hasBinaryContent(weights);
            forget();
        }
        for (Fault lie : List.of(
                new Fault.IgnoreRange(),
                new Fault.OtherRange(),
                new Fault.Garbage(),
                new Fault.More(),
                new Fault.Status(416, Map.of()))) {
            server.fault(WEIGHTS, new Fault.Drop(2_500_000), lie);
            assertThat(fetch(WEIGHTS).folder().resolve(WEIGHTS))
                    .as("%s after a part", lie)
                    .hasBinaryContent(weights);
            forget();
        }
    }

    @Test
    void otherContentThanPromisedIsNeverKept() throws IOException {
        server.fault(WEIGHTS, new Fault.Garbage(), new Fault.Garbage());
        assertThatIOException()
                .isThrownBy(() -> fetch("config.json", WEIGHTS))
                .withMessageContaining("its content is not what the hub promised: expected " + FakeHub.sha256(weights));

        assertThat(files(folder.resolve("home"))).noneMatch(name -> name.startsWith(FakeHub.sha256(weights)));
        assertThat(cache().find(MODEL)).isEmpty();
        server.fault("config.json", new Fault.Garbage(), new Fault.Garbage());
        forget();
        assertThatIOException()
                .isThrownBy(() -> fetch("config.json"))
                .withMessageContaining("promised: expected " + FakeHub.gitHash(text("{}")));
    }

    @Test
    void theTokenGoesToTheHubAlone() throws IOException {
        variables.put("HF_TOKEN", TOKEN);
        server.redirectSmall();
        server.fault(WEIGHTS, new Fault.Drop(100), new Fault.Status(500, Map.of()));
        fetch("config.json", WEIGHTS);

        assertThat(server.requests)
                .allMatch(request -> request.startsWith("+") != request.endsWith("Bearer " + TOKEN))
                .anyMatch(request -> request.startsWith("+GET"))
                .anyMatch(request -> request.startsWith("GET /api/resolve-cache/"));
        assertThat(messages.list)
                .isNotEmpty()
                .noneMatch(event -> event.getFormattedMessage().contains(TOKEN))
                .noneMatch(event -> event.getFormattedMessage().contains("secret-signature"));
    }

    @Test
    void noMessageShowsTheToken() {
        variables.put("HF_TOKEN", TOKEN + "\nmore");
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> fetch("config.json"))
                .withMessage("HF_TOKEN: expected letters, digits and signs on one line, got something else");
        variables.put("HF_TOKEN", TOKEN);
        server.answer("/api/models/owner/tiny", Map.of("status", "401"));
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> fetch("config.json"))
                .withMessageNotContaining(TOKEN)
                .withMessageEndingWith("the token in HF_TOKEN does not allow to read it");

        assertThat(server.requests).hasSize(1);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "401 |                  | model owner/tiny: HUB answers 401: either there is none of that name, so check it, or it is private: set HF_TOKEN, from HUB/settings/tokens",
                "404 | RepoNotFound     | model owner/tiny: HUB answers 404: either there is none of that name, so check it, or it is private: set HF_TOKEN, from HUB/settings/tokens",
                "404 | RevisionNotFound | model owner/tiny: has no revision \"main\" on HUB",
                "403 | GatedRepo        | model owner/tiny: is not open to everybody: accept its terms at HUB/owner/tiny, and set HF_TOKEN, from HUB/settings/tokens",
                "400 |                  | model owner/tiny: HUB/api/models/owner/tiny/revision/main answers 400",
            })
    void refusalsSayWhatToDo(String status, String code, String message) {
        server.answer(
                "/api/models/owner/tiny",
                code == null ? Map.of("status", status) : Map.of("status", status, "X-Error-Code", code));

        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> fetch("config.json"))
                .withMessage(message.replace("HUB", server.endpoint()));
        assertThat(server.requests).hasSize(1);
    }

    @Test
    void waitsAsLongAsItIsTold() throws IOException {
        server.fault(WEIGHTS, new Fault.Status(429, Map.of("Retry-After", "1")));
        long start = System.nanoTime();
        fetch(WEIGHTS);

        assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Duration.ofMillis(990));
        forget();
        server.fault(WEIGHTS, new Fault.Status(429, Map.of("Retry-After", "7200")));
        assertThatIOException()
                .isThrownBy(() -> fetch(WEIGHTS))
                .withMessageEndingWith(": answers 429, and wants to be left alone for 7200 s; the same command goes on"
                        + " from here then");
    }

    @Test
    void triesOnlySoOften() {
        server.answer("/api/", Map.of("status", "502"));
        assertThatIOException()
                .isThrownBy(() -> fetch("config.json"))
                .withMessage(server.endpoint() + "/api/models/owner/tiny/revision/main: answers 502, asked 5 times; the"
                        + " same command goes on from here");
        assertThat(server.requests).hasSize(5);
        server.close();
        assertThatIOException()
                .isThrownBy(() -> fetch("config.json"))
                .withMessageContaining("/api/models/owner/tiny/revision/main: does not answer: ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x", "/etc/x", "a/../../x", "a\\..\\x", "a\0b", "C:x", "a//b", "./a", "a/.", "", "a\nb"})
    void namesThatLeadElsewhereAreRefused(String name) {
        server.commit("models/owner/tiny", Map.of("config.json", text("{}"), name, text("x")));

        assertThatIOException()
                .isThrownBy(() -> fetch("config.json"))
                .withMessageContaining("lists a file called ")
                .withMessageEndingWith(", which is no name for one in a folder");
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void aFileInThePlaceOfAFolderIsNoWayOut() throws IOException {
        server.commit("models/owner/tiny", Map.of("a", text("x"), "a/b", text("y")));

        assertThatIOException().isThrownBy(() -> fetch("a", "a/b"));
        assertThat(files(folder.resolve("home"))).doesNotContain("b");
    }

    @Test
    void aPartThatIsALinkIsNotWrittenThrough() throws IOException {
        Path blobs = Files.createDirectories(folder.resolve("home/hub/models--owner--tiny/blobs"));
        Path victim = Files.writeString(folder.resolve("victim"), "kept");
        Files.createSymbolicLink(blobs.resolve(FakeHub.sha256(weights) + ".ptq.incomplete"), victim);

        assertThatIOException().isThrownBy(() -> fetch(WEIGHTS));
        assertThat(victim).hasContent("kept");
    }

    @Test
    void sizesAreCheckedBeforeAnythingIsFetched() {
        server.answer(
                "/owner/tiny/resolve/",
                Map.of(
                        "status",
                        "302",
                        "Location",
                        "http://127.0.0.1:1/x",
                        "X-Linked-Etag",
                        "a".repeat(64),
                        "X-Linked-Size",
                        "900000000000000"));

        assertThatIOException()
                .isThrownBy(() -> fetch(WEIGHTS))
                .withMessageMatching(
                        ".*/home/hub: 858306884.8 MiB are to be fetched, and only .* are free; make room, or"
                                + " set HF_HUB_CACHE to a folder elsewhere");
    }

    @ParameterizedTest
    @CsvSource({
        "etag,12",
        "../../../etc/passwd,12",
        "'',12",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,-3",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,99999999999999999999"
    })
    void whatCannotBeCheckedIsNotFetched(String etag, String size) {
        server.answer(
                "/owner/tiny/resolve/",
                Map.of(
                        "status",
                        "302",
                        "Location",
                        "http://127.0.0.1:1/x",
                        "X-Linked-Etag",
                        etag,
                        "X-Linked-Size",
                        size));

        assertThatIOException()
                .isThrownBy(() -> fetch("config.json"))
                .withMessageContaining("without them it cannot be checked");
    }

    @ParameterizedTest
    @ValueSource(strings = {"ftp://127.0.0.1/x", "file:///etc/passwd", "http:///x", "http://a b/"})
    void redirectsGoToWebAddressesOnly(String location) {
        server.answer("/api/", Map.of("status", "302", "Location", location));

        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> fetch("config.json"))
                .withMessageStartingWith(server.endpoint() + "/api/models/owner/tiny/revision/main: redirects to ");
    }

    @Test
    void redirectsEnd() {
        server.answer("/api/", Map.of("status", "302", "Location", "/api/again"));

        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> fetch("config.json"))
                .withMessageEndingWith("redirects more than 5 times");
        assertThat(server.requests).hasSize(6);
    }

    @Test
    void severalAtOnceFetchEachFileOnce() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try {
            List<CompletableFuture<Path>> found = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                found.add(CompletableFuture.supplyAsync(
                        () -> {
                            try {
                                return fetch("config.json", WEIGHTS).folder();
                            } catch (IOException e) {
                                throw new UncheckedIOException(e);
                            }
                        },
                        threads));
            }
            for (CompletableFuture<Path> each : found) {
                assertThat(each.get().resolve(WEIGHTS)).hasBinaryContent(weights);
            }
        } finally {
            threads.shutdownNow();
        }
        assertThat(server.asked("+GET")).isOne();
    }

    @Test
    void revisionsMayHaveSlashes() throws IOException {
        server.branch("models/owner/tiny", "refs/pr/2", commit);
        HubRepo repo = HubRepo.parse(Kind.MODEL, "owner/tiny@refs/pr/2").orElseThrow();
        Hub hub = hub();

        assertThat(hub.fetch(hub.list(repo), List.of("config.json")).commit()).isEqualTo(commit);
        assertThat(cache().find(repo)).isPresent();
        assertThat(cache().find(MODEL)).isEmpty();
    }

    @Test
    void theEnvironmentCanForbidIt() {
        variables.put("HF_HUB_OFFLINE", "1");

        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> fetch("config.json"))
                .withMessageStartingWith("HF_HUB_OFFLINE is set");
        assertThat(server.requests).isEmpty();
    }

    @Test
    void settingsAreThoseOfHuggingFace() throws IOException {
        variables.clear();
        assertThat(settings().endpoint()).hasToString("https://huggingface.co");
        assertThat(settings().cache()).isEqualTo(Path.of(System.getProperty("user.home"), ".cache/huggingface/hub"));
        variables.put("XDG_CACHE_HOME", "/x");
        assertThat(settings().cache()).isEqualTo(Path.of("/x/huggingface/hub"));
        variables.put("HF_HOME", folder.toString());
        assertThat(settings().cache()).isEqualTo(folder.resolve("hub"));
        assertThat(settings().token()).isEmpty();
        Files.writeString(folder.resolve("token"), TOKEN + "\n");
        assertThat(settings().token()).contains(TOKEN);
        variables.put("HF_TOKEN", "other");
        assertThat(settings().token()).contains("other");
        variables.put("HF_HUB_CACHE", "/c");
        assertThat(settings().cache()).isEqualTo(Path.of("/c"));
        for (String wrong :
                List.of("ftp://x", "x", "https://", "https://user:pass@x", "https://x?y", "a b", "https://x#y")) {
            variables.put("HF_ENDPOINT", wrong);
            assertThatExceptionOfType(ConfigException.class)
                    .isThrownBy(() -> settings().endpoint())
                    .withMessageStartingWith("HF_ENDPOINT: expected an address such as https://huggingface.co, got ")
                    .withMessageNotContaining("pass@");
        }
    }

    @ParameterizedTest
    @CsvSource({
        "owner/name,owner/name,main",
        "owner/name@v1.0,owner/name,v1.0",
        "owner/na.me_x-y@refs/pr/3,owner/na.me_x-y,refs/pr/3",
    })
    void namesAreOwnerAndName(String written, String name, String revision) {
        assertThat(HubRepo.parse(Kind.MODEL, written)).contains(new HubRepo(Kind.MODEL, name, revision));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "name",
                "",
                "/owner/name",
                "a/b/c",
                "./name",
                "../name",
                "a/..",
                "a/b..c",
                "a--b/c",
                "a/b@",
                "a/b@../x",
                "a/b@x//y",
                "a/b@x/",
                "a /b",
                "a/b\n",
                "a\\b/c",
                "owner/",
                "-a/b",
                "a/b@-x"
            })
    void whatIsNoNameIsNone(String written) {
        assertThat(HubRepo.parse(Kind.MODEL, written)).isEmpty();
    }

    private HubSnapshot fetch(String... names) throws IOException {
        Hub hub = hub();
        return hub.fetch(hub.list(MODEL), List.of(names));
    }

    private Hub hub() {
        return new Hub(settings(), Progress.Reporter.none());
    }

    private HubSettings settings() {
        return new HubSettings(variables::get, Duration.ofMillis(1), Duration.ofMillis(2500));
    }

    private HubCache cache() {
        return new HubCache(settings());
    }

    private HubSnapshot find(String name) throws IOException {
        return cache().find(HubRepo.parse(Kind.DATASET, name).orElseThrow()).orElseThrow();
    }

    private void forget() throws IOException {
        try (Stream<Path> files = Files.walk(folder.resolve("home"))) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        }
    }

    private static List<String> files(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return files.filter(Files::isRegularFile)
                    .map(file -> file.getFileName().toString())
                    .toList();
        }
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
