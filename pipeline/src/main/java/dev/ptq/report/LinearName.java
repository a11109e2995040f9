package dev.ptq.report;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The place of a linear in a model: for {@code model.layers.3.mlp.up_proj}, block 3, kind {@code mlp.up_proj}.
 *
 * @param kind its name within every block
 */
record LinearName(int block, String kind) {
    private static final Pattern MODULE =
            Pattern.compile("[A-Za-z_.]*?\\.(?<block>[0-9]{1,4})\\.(?<kind>[A-Za-z0-9_.]{1,80})");

    static Optional<LinearName> of(String module) {
        Matcher matcher = MODULE.matcher(module);
        return matcher.matches()
                ? Optional.of(new LinearName(Integer.parseInt(matcher.group("block")), matcher.group("kind")))
                : Optional.empty();
    }
}
