package dev.ptq.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import ai.djl.ndarray.NDArray;
import dev.ptq.tensor.NativeFloats;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BlockPassTest {
    private static final int[][] CHUNKS = {{1, 2, 3, 4, 5, 6, 7}, {7, 5, 3, 1, 2, 4, 6}, {9, 9, 9, 8, 8, 8, 7}};

    private final LanguageModel model;
    private final HiddenStates states;
    private final Block block;
    private final BlockPass pass;

    BlockPassTest(@TempDir Path folder) throws IOException {
        SyntheticModel.llama().write(folder);
        model = LanguageModel.open(folder);
        states = model.embed(CHUNKS, 1);
        block = model.load(0);
        pass = new BlockPass(model);
    }

    @AfterEach
    void close() throws IOException {
        pass.close();
        block.close();
        states.close();
        model.close();
    }

    /** Notes what it is shown, and wants some of it. */
    private static final class Notes implements ActivationObserver {
        private final Set<HookPoint> wanted;
        private final Map<HookPoint, List<float[]>> shown = new LinkedHashMap<>();

        Notes(HookPoint... wanted) {
            this.wanted = Set.of(wanted);
        }

        @Override
        public synchronized void observe(int block, HookPoint hookPoint, HookInput input) {
            shown.computeIfAbsent(hookPoint, key -> new ArrayList<>())
                    .add(input.values().toFloatArray());
        }

        @Override
        public boolean wants(int block, HookPoint hookPoint) {
            return wanted.contains(hookPoint);
        }
    }

    @Test
    void goesNoFurtherThanItIsWatched() throws IOException {
        Notes whole = new Notes();
        pass.outputs(block, states, whole).close();
        assertThat(whole.shown).hasSize(4);

        Notes part = new Notes(HookPoint.ATTENTION_OUT);
        pass.observe(block, states, part);
        assertThat(part.shown).containsOnlyKeys(HookPoint.ATTENTION_IN, HookPoint.ATTENTION_OUT);
        part.shown.forEach((hookPoint, values) ->
                assertThat(values).usingElementComparator(Arrays::compare).isEqualTo(whole.shown.get(hookPoint)));

        Notes all = new Notes(HookPoint.MLP_MID, HookPoint.ATTENTION_IN);
        pass.observe(block, states, all);
        assertThat(all.shown).hasSize(4);
    }

    @Test
    void whatIsNotFiniteIsAnErrorHoweverLittleIsWatched() {
        Linear values = block.linear("self_attn.v_proj");
        NDArray huge = values.weight().duplicate();
        NativeFloats.writableWindow(huge).put(0, Float.POSITIVE_INFINITY);
        values.replaceWeight(huge);
        assertThatIOException()
                .isThrownBy(() -> pass.observe(block, states, new Notes(HookPoint.ATTENTION_OUT)))
                .withMessageContaining("block 0: the input of model.layers.0.self_attn.o_proj");
    }
}
