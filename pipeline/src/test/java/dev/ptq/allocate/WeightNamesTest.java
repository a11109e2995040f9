package dev.ptq.allocate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.model.HookPoint;
import dev.ptq.model.LinearSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class WeightNamesTest {
    private static LinearSpec linear(int block, String path) {
        return new LinearSpec(block, "model.layers." + block + "." + path, path, HookPoint.MLP_IN, 2, 2, false);
    }

    @Test
    void matchesTheNamesAndNoOthers() {
        List<LinearSpec> all = new ArrayList<>();
        for (int block = 0; block < 12; block++) {
            for (String path :
                    List.of("self_attn.q_proj", "mlp.up_proj", "mlp.experts.1.up_proj", "mlp.experts.11.w[1]")) {
                all.add(linear(block, path));
            }
        }
        SplittableRandom random = new SplittableRandom(3);
        for (int round = 0; round < 50; round++) {
            List<LinearSpec> some =
                    all.stream().filter(linear -> random.nextInt(3) == 0).toList();
            String pattern = WeightNames.pattern(some);

            assertThat(all.stream().filter(linear -> linear.weightName().matches(pattern)))
                    .isEqualTo(some);
            assertThat("modelxlayers.0.mlp.up_proj.weight".matches(pattern)).isFalse();
        }
    }

    @Test
    void isShort() {
        assertThat(WeightNames.pattern(List.of(linear(1, "mlp.up_proj"), linear(10, "mlp.up_proj"))))
                .isEqualTo("model\\.layers\\.(1|10)\\.mlp\\.up_proj\\.weight");
    }
}
