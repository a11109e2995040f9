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
import java.util.Set;

/**
 * QuaRot's rotation: the whole model is rotated before anything else is done, which spreads outliers over all features of an
 * activation. Source: QuaRot (NeurIPS 2024).
 *
 * @param places where the parts of the model allow it
 * @param isNamed whether the config names the places, so that one that is not there is an error
 * @param matrix folded into weights
 * @param block width of the parts that are rotated by themselves; 0: as large as may be
 * @param acrossHeads whether R2 also rotates across heads
 */
record Rotate(List<Place> places, boolean isNamed, Rotation.Matrix matrix, int block, boolean acrossHeads)
        implements Method {
    private static final String BLOCK_NAME = "block_size";

    private static final Key<List<Place>> PLACES = Key.choices(
                    "rotations", Choices.of(Place.values(), Place::name, place -> switch (place) {
                        case R1 -> "the residual stream";
                        case R2 -> "values, head by head";
                        case R3 -> "queries and keys behind their rotation by position, in the forward pass";
                        case R4 -> "the input of the last linear of an MLP, in the forward pass";
                    }))
            .preset(List.of(Place.values()))
            .says(
                    "what is rotated, by [SpinQuant's names](#rotations); by default all that the parts of the model allow");

    private static final Key<Rotation.Matrix> MATRIX = Key.choice(
                    "matrix",
                    Choices.of("hadamard", Rotation.Matrix.HADAMARD, "a Hadamard matrix with random signs")
                            .and("orthogonal", Rotation.Matrix.ORTHOGONAL, "a random orthogonal matrix"))
            .preset(Rotation.Matrix.HADAMARD)
            .says(
                    "what is folded into weights for R1 and R2, by `seed`; R3 and R4 are Hadamard matrices without signs");

    private static final Key<Integer> BLOCK = Key.integer(BLOCK_NAME)
            .from(0)
            .preset(0)
            .says("features that are rotated together, such as those that share a scale; 0: as many as may be");

    private static final Key<Boolean> ACROSS_HEADS = Key.flag("across_heads")
            .preset(false)
            .says("whether R2 also rotates across heads in the forward pass, as in QuaRot");

    /** The keys of a step. */
    static final Keys KEYS = Keys.of(PLACES, MATRIX, BLOCK, ACROSS_HEADS);

    static Rotate read(ConfigTable table) {
        List<Place> places = table.read(PLACES).stream().distinct().sorted().toList();
        int block = table.read(BLOCK);
        if (places.isEmpty()) {
            table.problem(PLACES, "expected at least one rotation");
        }
        if (block > 0 && Hadamard.of(block).isEmpty()) {
            table.problem(
                    BLOCK, "no Hadamard matrix of order " + block + " is known here; take a power of two, such as 32");
        }
        return new Rotate(
                places,
                table.keys().contains(PLACES.name()),
                table.read(MATRIX),
                block,
                places.contains(Place.R2) && table.read(ACROSS_HEADS));
    }

    @Override
    public String name() {
        return "quarot";
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
        return new Rotation(
                places.stream().filter(place -> !absent.contains(place)).toList(), matrix, block, acrossHeads, seed);
    }

    @Override
    public void check(ModelConfig shape, QuantizationSettings quantization, ConfigTable table) {
        Map<Place, String> absent = Rotation.absent(shape);
        for (Place place : places) {
            if (isNamed && absent.containsKey(place)) {
                table.problem(PLACES, "this model cannot be rotated by " + place + ": " + absent.get(place));
            }
        }
        of(shape, 0).problem(shape).ifPresent(problem -> table.problem(BLOCK, problem));
    }

    /** Returns what is not rotated as one may expect, a sentence each. */
    List<String> notes(ModelConfig shape) {
        Map<Place, String> absent = Rotation.absent(shape);
        List<String> notes = new ArrayList<>();
        for (Place place : places) {
            if (!isNamed && absent.containsKey(place)) {
                notes.add(name() + " leaves out " + place + ": " + absent.get(place));
            }
        }
        of(shape, 0).parts(shape).forEach(part -> notes.add(name() + ": " + part));
        return notes;
    }

    /** The model comes rotated. */
    @Override
    public void apply(BlockContext context) {}
}
