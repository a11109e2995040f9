package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.ptq.artifact.LedgerEntry;
import dev.ptq.artifact.LedgerEvent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class LedgerTest {
    private static final LedgerEntry ENTRY = new LedgerEntry(
            LedgerEvent.DEAD_COLUMNS, "gptq", "model.layers.0.mlp.down_proj", 3, "3 of 8, \"zeros\"\nonly");

    @TempDir
    private Path folder;

    @ParameterizedTest
    @EnumSource
    void isReadAsItWasWritten(LedgerEvent event) throws IOException {
        List<LedgerEntry> entries = List.of(
                ENTRY,
                new LedgerEntry(event, "x", "y", 1.0 / 3, ""),
                new LedgerEntry(event, "x", "y", Double.POSITIVE_INFINITY, "z"));
        Ledger ledger = new Ledger(false);
        ledger.add("here", entries);
        ledger.write(folder);
        assertThat(Ledger.read(folder)).isEqualTo(entries);
    }

    @Test
    void oneThatIsNotThereIsEmpty() throws IOException {
        assertThat(Ledger.read(folder)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "event,source,place\n",
                "event,source,place,amount,note\nfell_back,gptq,x\n",
                "event,source,place,amount,note\nunknown,gptq,x,1,y\n",
                "event,source,place,amount,note\nfell_back,gptq,x,many,y\n"
            })
    void aDamagedOneIsNamed(String text) throws IOException {
        Path file = Files.writeString(folder.resolve("ledger.csv"), text);
        assertThatThrownBy(() -> Ledger.read(folder))
                .isInstanceOf(IOException.class)
                .hasMessageStartingWith(file + ": expected ");
    }

    @Test
    void anEntryIsAnErrorWhereThatIsAskedFor() throws IOException {
        Ledger ledger = new Ledger(true);
        ledger.add("here", List.of());
        assertThatThrownBy(() -> ledger.add("approximate, block 0", List.of(ENTRY)))
                .isInstanceOf(IOException.class)
                .hasMessage("approximate, block 0: model.layers.0.mlp.down_proj: gptq: 3 of 8, \"zeros\"\nonly; "
                        + LedgerEvent.DEAD_COLUMNS.remedy() + " (strict = true)");
        assertThatThrownBy(() -> Ledger.require("run", true, Collections.nCopies(10, ENTRY)))
                .hasMessageContaining("and 2 more (strict = true)");
        Ledger.require("run", false, List.of(ENTRY));
    }
}
