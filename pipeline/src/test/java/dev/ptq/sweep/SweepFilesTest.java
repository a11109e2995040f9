package dev.ptq.sweep;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.model.SyntheticModel;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every sweep that comes with the program. */
class SweepFilesTest {
    private static final Path SWEEPS = Shared.root().resolve("sweeps");

    @TempDir
    Path folder;

    static List<String> names() throws IOException {
        try (Stream<Path> files = Files.list(SWEEPS)) {
            return files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".toml"))
                    .map(name -> name.replace(".toml", ""))
                    .sorted()
                    .toList();
        }
    }

    /** A random model takes the place of the one that the configs name; what is measured is no matter. */
    @ParameterizedTest
    @CsvSource({
        "lqer_act, reference-w4a8-l2qer, 9, rank-8_bits-2, rank-32_bits-4",
        "lqer_act_int, reference-w4a8-l2qer, 6, rank-8_bits-3, rank-32_bits-4",
        "lqer_act_int, reference-w4a16-int-l2qer, 6, rank-8_bits-3, rank-32_bits-4",
        "lqer_act_w_only, reference-w4a8-l2qer, 9, rank-8_bits-2, rank-32_bits-4",
        "lqer_svd, reference-w4a8-lqer, 9, rank-8_bits-2, rank-32_bits-4",
        "lqer_svd, reference-w4a8-l2qer, 9, rank-8_bits-2, rank-32_bits-4",
        "baseline_no_lqer, reference-w4a8-plain, 3, bits-2, bits-4",
        "baseline_no_lqer, reference-w4a8-l2qer, 3, bits-2, bits-4",
        "reference, reference-w4a8-l2qer, 12, method-lqer_rank-8_bits-2, method-l2qer_rank-32_bits-4",
        "low_rank_orders, reference-w3a16-srr, 30, qera-exact_r8_w4, gptq-eora_r32_w2",
        "low_rank_orders, reference-w3a16-gptq, 30, qera-exact_r8_w4, gptq-eora_r32_w2",
        "methods_weight_only, reference-w3a16-omniquant, 39, rtn_w4, gptq-l2qer_w2",
        "formats, reference-w3a16-int, 32, int8_w, nf4-double_w",
        "rotation_seeds, reference-w4a4-quarot, 10, seed-0, seed-9",
        "methods_weight_activation, reference-w4a4-omniquant, 10, rtn_w6a6, lrquant_w4a4"
    })
    void canBePlanned(String name, String config, int count, String first, String last) throws IOException {
        SyntheticModel.llama()
                .vocabulary(259)
                .positions(256)
                .heads(4, 2)
                .tokenizer()
                .write(folder.resolve("llama"));
        Path base = Shared.root().resolve("configs/" + config + ".toml");
        Path text = Files.writeString(folder.resolve("text.txt"), "a lamp under the orchard ".repeat(20));
        List<String> overrides = List.of(
                "model.path='" + folder.resolve("llama") + "'",
                "evaluation={ perplexity = [{ dataset = '" + text + "', seq_len = 16 }] }");
        Sweep sweep = Sweep.read(SWEEPS.resolve(name + ".toml"), base, overrides, folder.resolve("results"), "x");

        List<CheckedPoint> points = sweep.check();
        assertThat(points).hasSize(count);
        assertThat(points.get(0).point().name()).isEqualTo(first);
        assertThat(points.get(count - 1).point().name()).isEqualTo(last);
        assertThat(points.stream().map(CheckedPoint::fingerprint)).doesNotHaveDuplicates();
        assertThat(folder.resolve("results")).doesNotExist();
    }

    @Test
    void areAllPlanned() throws IOException {
        assertThat(names())
                .containsExactly(
                        "baseline_no_lqer",
                        "formats",
                        "low_rank_orders",
                        "lqer_act",
                        "lqer_act_int",
                        "lqer_act_w_only",
                        "lqer_svd",
                        "methods_weight_activation",
                        "methods_weight_only",
                        "reference",
                        "rotation_seeds");
    }

    @ParameterizedTest
    @MethodSource("names")
    @DisabledOnOs(OS.WINDOWS)
    void haveAScriptEach(String name) throws IOException, InterruptedException {
        Set<PosixFilePermission> executable = PosixFilePermissions.fromString("rwxr-xr-x");
        Path script = folder.resolve("sweeps").resolve(name + ".sh");
        Path program = folder.resolve("scripts/ptq");
        Files.createDirectories(script.getParent());
        Files.createDirectories(program.getParent());
        Files.copy(SWEEPS.resolve(name + ".sh"), script);
        Files.writeString(program, "#!/bin/sh\nfor each; do echo \"$each\"; done > '" + folder + "/arguments'\n");
        Files.setPosixFilePermissions(program, executable);
        assertThat(Files.isExecutable(SWEEPS.resolve(name + ".sh"))).isTrue();
        Files.setPosixFilePermissions(script, executable);

        assertThat(new ProcessBuilder(script.toString(), "base.toml", "a tag", "--jobs", "2")
                        .start()
                        .waitFor())
                .isZero();
        assertThat(Files.readAllLines(folder.resolve("arguments")))
                .containsExactly(
                        "sweep",
                        folder.toRealPath() + "/sweeps/" + name + ".toml",
                        "base.toml",
                        "a tag",
                        "--jobs",
                        "2");
    }
}
