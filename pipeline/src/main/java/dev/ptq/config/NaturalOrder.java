package dev.ptq.config;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Sorts names as people do: {@code rank-8} before {@code rank-16}, {@code damping-0.05} before {@code damping-0.1}. A
 * folder is followed by its contents.
 */
public final class NaturalOrder implements Comparator<String> {
    public static final NaturalOrder INSTANCE = new NaturalOrder();

    private static final Pattern PART = Pattern.compile("(?<number>[0-9]+(\\.[0-9]+)?)|[^0-9]+");

    private record Part(String text, boolean isNumber) {}

    private NaturalOrder() {}

    @Override
    public int compare(String a, String b) {
        List<Part> as = parts(a);
        List<Part> bs = parts(b);
        for (int i = 0; i < Math.min(as.size(), bs.size()); i++) {
            int order = compare(as.get(i), bs.get(i));
            if (order != 0) {
                return order;
            }
        }
        return as.size() == bs.size() ? a.compareTo(b) : Integer.compare(as.size(), bs.size());
    }

    private static int compare(Part a, Part b) {
        if (a.isNumber() && b.isNumber()) {
            return new BigDecimal(a.text()).compareTo(new BigDecimal(b.text()));
        }
        if (a.isNumber() || b.isNumber()) {
            return a.isNumber() ? -1 : 1;
        }
        // nothing sorts before the slash
        return a.text().replace('/', '\0').compareTo(b.text().replace('/', '\0'));
    }

    private static List<Part> parts(String name) {
        List<Part> parts = new ArrayList<>();
        for (Matcher matcher = PART.matcher(name); matcher.find(); ) {
            parts.add(new Part(matcher.group(), matcher.group("number") != null));
        }
        return parts;
    }
}
