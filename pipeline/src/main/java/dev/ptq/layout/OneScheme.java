package dev.ptq.layout;

import dev.ptq.layout.IntegerMatrix.Scheme;
import java.io.IOException;
import java.util.Optional;

/** The scheme of a checkpoint whose description has one for all linears. */
final class OneScheme {
    private final String layout;
    private Optional<Scheme> scheme = Optional.empty();
    private boolean isOrdered;

    OneScheme(String layout) {
        this.layout = layout;
    }

    /** Takes that of a linear; the order of columns may differ between them. */
    void take(Scheme found) throws IOException {
        Scheme plain = new Scheme(found.bits(), found.groupSize(), found.symmetric(), false);
        if (scheme.isPresent() && !scheme.get().equals(plain)) {
            throw new IOException(
                    layout + " has one bit width, group size and symmetry for all linears, and this one has"
                            + " others than those before it; --format compressed-tensors has a place for several");
        }
        scheme = Optional.of(plain);
        isOrdered |= found.ordered();
    }

    /** Returns the scheme, ordered if one linear is. */
    Scheme get() throws IOException {
        Scheme plain = scheme.orElseThrow(() -> new IOException("the run left no weight on a grid, so that " + layout
                + " has nothing to pack; --format float has a place for all"));
        return new Scheme(plain.bits(), plain.groupSize(), plain.symmetric(), isOrdered);
    }
}
