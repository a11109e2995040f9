package dev.ptq.allocate;

import dev.ptq.model.LinearSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/** Writes names of weights as a regular expression that matches these and no others. */
final class WeightNames {
    private WeightNames() {}

    /** Those of some linears: for each path in a block one alternative, with the numbers of the blocks. */
    static String pattern(List<LinearSpec> linears) {
        Map<String, List<Integer>> blocks = new LinkedHashMap<>();
        Map<String, String> starts = new LinkedHashMap<>();
        for (LinearSpec linear : linears) {
            String before = linear.module()
                    .substring(0, linear.module().length() - linear.path().length());
            String number = linear.block() + ".";
            if (!before.endsWith(number)) {
                throw new IllegalArgumentException(linear.module() + " does not have its block's number");
            }
            blocks.computeIfAbsent(linear.path(), path -> new ArrayList<>()).add(linear.block());
            starts.put(linear.path(), before.substring(0, before.length() - number.length()));
        }
        return blocks.entrySet().stream()
                .map(entry -> escaped(Objects.requireNonNull(starts.get(entry.getKey()))) + numbers(entry.getValue())
                        + "\\." + escaped(entry.getKey() + ".weight"))
                .collect(Collectors.joining("|"));
    }

    private static String numbers(List<Integer> blocks) {
        String joined = blocks.stream().map(String::valueOf).collect(Collectors.joining("|"));
        return blocks.size() == 1 ? joined : "(" + joined + ")";
    }

    private static String escaped(String name) {
        return name.replaceAll("[^A-Za-z0-9_/-]", "\\\\$0");
    }
}
