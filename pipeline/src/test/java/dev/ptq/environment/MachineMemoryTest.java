package dev.ptq.environment;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.NullSource;
import org.junit.jupiter.params.provider.ValueSource;

class MachineMemoryTest {
    @ParameterizedTest
    @CsvSource({"1, 1048576", "3K, 3072", "20M, 20971520", "32g, 34359738368", "2T, 2199023255552", "016G, 17179869184"
    })
    void readsTheWordsOfSlurm(String given, long bytes) {
        assertThat(MachineMemory.bytes(given)).contains(bytes);
    }

    @ParameterizedTest
    @NullSource
    @ValueSource(strings = {"", "0", "-1G", "1.5G", "32GB", "1P", "much", "99999999999"})
    void isNoSizeOtherwise(String given) {
        assertThat(MachineMemory.bytes(given)).isEmpty();
    }

    @Test
    void isAtMostThatOfTheMachine() {
        assertThat(MachineMemory.bytes()).isPositive().isLessThan(1L << 50);
    }
}
