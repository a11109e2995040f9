package dev.ptq.layout;

import dev.ptq.weights.StoredType;
import java.io.IOException;

/** The groups of input features that share scales. */
final class Groups {
    private Groups() {}

    /**
     * Reads the group of each input feature.
     *
     * @param groupSize features in a group; the last one may have fewer
     * @param ordered whether features may be in any group, and not only in that of their neighbours
     * @throws IOException if there is no such group, or one has more or fewer features than it should
     */
    static int[] read(ModuleTensors tensors, String name, int features, int groupSize, boolean ordered)
            throws IOException {
        int[] groups = new int[features];
        tensors.raw(name, StoredType.I32, features).asIntBuffer().get(groups);
        int[] sizes = new int[(features + groupSize - 1) / groupSize];
        for (int i = 0; i < features; i++) {
            if (groups[i] < 0 || groups[i] >= sizes.length) {
                throw new IOException(tensors.name(name) + ": expected groups from 0 to " + (sizes.length - 1)
                        + ", got " + groups[i] + " at " + i);
            }
            if (!ordered && groups[i] != i / groupSize) {
                throw new IOException(tensors.name(name) + ": has feature " + i + " in group " + groups[i]
                        + ", but the config says that groups are " + groupSize + " neighbours");
            }
            sizes[groups[i]]++;
        }
        for (int group = 0; group < sizes.length; group++) {
            int expected = Math.min(groupSize, features - group * groupSize);
            if (sizes[group] != expected) {
                throw new IOException(tensors.name(name) + ": has " + sizes[group] + " features in group " + group
                        + ", expected " + expected);
            }
        }
        return groups;
    }
}
