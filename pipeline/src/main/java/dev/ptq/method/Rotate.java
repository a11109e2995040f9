package dev.ptq.method;

import dev.ptq.config.Choices;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.family.ModelConfig;
import dev.ptq.model.QuantizationSettings;
import dev.ptq.model.Rotation;
import dev.ptq.model.Rotation.Place;
import dev.ptq.tensor.Hadamard;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The whole model is rotated before anything else is done, which spreads outliers over all features of an activation: by
 * matrices that a seed draws, or by some that are learned from there. Sources: QuaRot (NeurIPS 2024), SpinQuant (ICLR 2025).
 *
 * @param places that the config names; absent: all that the parts of the model allow
 * @param matrix folded into weights
 * @param block width of the parts that are rotated by themselves; 0: as large as may be
 * @param acrossHeads whether R2 also rotates across heads
 * @param learning how R1 and R2 are learned; absent if they are not
 */
public record Rotate(
        Optional<List<Place>> places,
        Rotation.Matrix matrix,
        int block,
        boolean acrossHeads,
        Optional<Learning> learning)
        implements Method {
    /**
     * Gradient descent through the whole model.
     *
     * @param rate the length of a step at the start; it falls to zero along a cosine
     * @param batchSize samples in a step
     */
    public record Learning(int steps, double rate, int batchSize) {}

    private static final Key<Optional<List<Place>>> PLACES = Key.choices(
                    "rotations", Choices.of(Place.values(), Place::name, place -> switch (place) {
                        case R1 -> "the residual stream";
                        case R2 -> "values, head by head";
                        case R3 -> "queries and keys behind their rotation by position, in the forward pass";
                        case R4 -> "the input of the last linear of an MLP, in the forward pass";
                    }))
            .optional("all that the parts of the model allow")
            .says("what is rotated, by [SpinQuant's names](#rotations)");

    private static final Key<Rotation.Matrix> MATRIX = Key.choice(
                    "matrix",
                    Choices.of("hadamard", Rotation.Matrix.HADAMARD, "a Hadamard matrix with random signs")
                            .and("orthogonal", Rotation.Matrix.ORTHOGONAL, "a random orthogonal matrix"))
            .preset(Rotation.Matrix.HADAMARD)
            .says("what is folded into weights for R1 and R2, by `seed`; R3 and R4 are Hadamard matrices without"
                    + " signs");

    private static final Key<Integer> BLOCK = Key.integer("block_size")
            .from(0)
            .preset(0)
            .says("features that are rotated together, such as those that share a scale; 0: as many as may be");

    private static final Key<Boolean> ACROSS_HEADS = Key.flag("across_heads")
            .preset(false)
            .says("whether R2 also rotates across heads in the forward pass, as in QuaRot");

    private static final Key<Integer> STEPS =
            Key.integer("steps").from(1).to(1 << 20).preset(100).says("steps of training");

    private static final Key<Double> RATE = Key.decimal("learning_rate")
            .from(0.0)
            .to(100.0)
            .preset(1.5)
            .says("the longest step along the orthogonal matrices; it falls to zero along a cosine");

    private static final Key<Integer> BATCH_SIZE =
            Key.integer("batch_size").from(1).to(1 << 16).preset(8).says("samples in a step of training");

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(PLACES, MATRIX, BLOCK, ACROSS_HEADS);

    /** The keys of a step that learns. */
    static final Keys LEARNED_KEYS = Keys.of(PLACES, MATRIX, STEPS, RATE, BATCH_SIZE);

    static Rotate read(ConfigTable table) {
        Optional<List<Place>> places = places(table);
        int block = table.read(BLOCK);
        if (block > 0 && Hadamard.of(block).isEmpty()) {
            table.problem(
                    BLOCK, "no Hadamard matrix of order " + block + " is known here; take a power of two, such as 32");
        }
        return new Rotate(
                places,
                table.read(MATRIX),
                block,
                isWanted(places, Place.R2) && table.read(ACROSS_HEADS),
                Optional.empty());
    }

    /** Reads a step that learns. */
    static Rotate readLearned(ConfigTable table) {
        Optional<List<Place>> places = places(table);
        if (!isWanted(places, Place.R1) && !isWanted(places, Place.R2)) {
            table.problem(PLACES, "expected R1 or R2, which are learned; for others take quarot");
        }
        Learning learning = new Learning(table.read(STEPS), table.read(RATE), table.read(BATCH_SIZE));
        return new Rotate(places, table.read(MATRIX), 0, false, Optional.of(learning));
    }

    private static Optional<List<Place>> places(ConfigTable table) {
        Optional<List<Place>> places = table.read(PLACES)
                .map(named -> named.stream().distinct().sorted().toList());
        if (places.filter(List::isEmpty).isPresent()) {
            table.problem(PLACES, "expected at least one rotation");
        }
        return places;
    }

    private static boolean isWanted(Optional<List<Place>> places, Place place) {
        return places.isEmpty() || places.get().contains(place);
    }

    @Override
    public String name() {
        return learning.isPresent() ? "spinquant" : "quarot";
    }

    @Override
    public boolean draws() {
        return true;
    }

    @Override
    public Phase phase() {
        return Phase.ROTATE;
    }

    @Override
    public Needs needs() {
        return Needs.of(Set.of());
    }

    /** The rotation of a model, of those places that its parts allow. */
    Rotation of(ModelConfig model, long seed) {
        Set<Place> absent = Rotation.absent(model).keySet();
        List<Place> present = Stream.of(Place.values())
                .filter(place -> isWanted(places, place) && !absent.contains(place))
                .toList();
        return new Rotation(present, matrix, block, acrossHeads, seed);
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        Map<Place, String> absent = Rotation.absent(shape);
        if (learning.isPresent() && quantization.hasStaticActivations()) {
            table.problem(
                    "method",
                    name() + " is trained before ranges of dynamic = false are known; leave out one of the two");
        }
        places.orElse(List.of()).stream()
                .filter(absent::containsKey)
                .forEach(place ->
                        table.problem(PLACES, "this model cannot be rotated by " + place + ": " + absent.get(place)));
        if (block > 0 && Hadamard.of(block).isPresent()) {
            of(shape, 0).problem(shape).ifPresent(problem -> table.problem(BLOCK, problem));
        }
    }

    @Override
    public Optional<Integer> samplesAtOnce() {
        return learning.map(Learning::batchSize);
    }

    @Override
    public List<String> notes(ModelConfig shape) {
        List<String> notes = new ArrayList<>();
        if (places.isEmpty()) {
            Rotation.absent(shape).forEach((place, why) -> notes.add(name() + " leaves out " + place + ": " + why));
        }
        of(shape, 0).parts(shape).forEach(part -> notes.add(name() + ": " + part));
        return notes;
    }

    /** The model comes rotated. */
    @Override
    public void apply(BlockContext context) {}
}
