package dev.ptq.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.tensor.Shared;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The launcher of the release archive, with a Java that prints how it was called, and no other program at hand. */
@DisabledOnOs(OS.WINDOWS)
class LauncherTest {
    @TempDir
    Path folder;

    private Path launcher;

    @BeforeEach
    void archive() throws IOException {
        Path home = Files.createDirectories(folder.resolve("an archive"));
        Path scripts = Files.createDirectories(home.resolve("libexec"));
        Files.copy(Shared.root().resolve("scripts/launch"), scripts.resolve("launch"));
        Files.copy(Shared.root().resolve("scripts/environment"), scripts.resolve("environment"));
        launcher = Files.createDirectories(home.resolve("bin")).resolve("ptq");
        Files.copy(Shared.root().resolve("pipeline/src/release/ptq"), launcher);
        Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.writeString(home.resolve("commit"), "0123abc\n");
    }

    @Test
    void startsTheProgramBesideIt() throws IOException, InterruptedException {
        java("17.0.15");
        String home = folder.toRealPath().resolve("an archive").toString();
        assertThat(run(Map.of(), "run", "a config.toml", "*"))
                .isEqualTo("-Xmx2g\n-XX:+UseParallelGC\n-cp\n" + home + "/ptq.jar:" + home + "/lib/*\ndev.ptq.cli.Ptq\n"
                        + "run\na config.toml\n*\ncommit 0123abc, locale C.UTF-8\n");
    }

    @Test
    void allowsNativeCodeWhereJavaAsks() throws IOException, InterruptedException {
        java("25.0.1");
        assertThat(run(Map.of("PTQ_JAVA_OPTIONS", "-Xmx8g -Dx=y"), "list")).startsWith("""
                        -Xmx2g
                        -XX:+UseParallelGC
                        --enable-native-access=ALL-UNNAMED
                        --sun-misc-unsafe-memory-access=allow
                        -Xmx8g
                        -Dx=y
                        -cp
                        """);
    }

    @Test
    void keepsTheUsersLocale() throws IOException, InterruptedException {
        java("21");
        assertThat(run(Map.of("LANG", "de_DE.UTF-8"), "list")).endsWith("list\ncommit 0123abc, locale \n");
    }

    @Test
    void saysWhichJavaItNeeds() throws IOException, InterruptedException {
        assertThat(run(Map.of()))
                .startsWith("ptq: there is no java; install a JDK, version 17 or later, or set JAVA_HOME to one:\n")
                .endsWith("exit code 1\n");
        assertThat(run(Map.of("JAVA_HOME", "/gone"))).startsWith("ptq: there is no /gone/bin/java; install");
        java("1.8.0_392");
        assertThat(run(Map.of()))
                .startsWith("ptq: java is version 1.8.0_392; install a JDK, version 17 or later")
                .endsWith("exit code 1\n");
    }

    @Test
    void theNoticeNamesTheLibrariesOfThisBuild() throws IOException {
        String classPath = System.getProperty("java.class.path");
        var files = Arrays.stream(classPath.split(File.pathSeparator))
                .map(entry -> Path.of(entry).getFileName().toString())
                .toList();
        var named = Files.readAllLines(Shared.root().resolve("pipeline/src/release/NOTICE")).stream()
                .filter(line -> line.startsWith("| "))
                .map(line -> line.split(" ", -1)[1])
                .filter(name -> name.endsWith(".jar") && !name.endsWith("-PLATFORM.jar"))
                .toList();
        assertThat(named).hasSizeGreaterThan(30).isSubsetOf(files);
    }

    /** A java of this version in the only folder of the PATH. */
    private void java(String version) throws IOException {
        Path java = Files.createDirectories(folder.resolve("path")).resolve("java");
        Files.writeString(java, """
                #!/bin/sh
                if [ "$1" = -version ]; then echo 'openjdk version "%s" 2025-04-15' >&2; exit; fi
                for each; do echo "$each"; done
                echo "commit $PTQ_COMMIT, locale ${LC_ALL:-}"
                """.formatted(version));
        Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private String run(Map<String, String> environment, String... arguments) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(launcher.toString()).redirectErrorStream(true);
        builder.command().addAll(Arrays.asList(arguments));
        builder.environment().clear();
        builder.environment().put("PATH", folder.resolve("path").toString());
        builder.environment().putAll(environment);
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return process.waitFor() == 0 ? output : output + "exit code " + process.exitValue() + "\n";
    }
}
