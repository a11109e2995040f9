package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.ApproximatedColumn;
import dev.ptq.artifact.TableColumn;
import dev.ptq.method.BlockContext;
import dev.ptq.method.BlockPatch;
import dev.ptq.model.Linear;
import dev.ptq.weights.Safetensors;
import dev.ptq.weights.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JacksonException;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.json.JsonMapper;

/** The methods' reports on one block, or on all so far: rows of {@code layers.csv}, and singular values. */
final class BlockResults {
    private static final Logger log = LoggerFactory.getLogger(BlockResults.class);
    private static final String ROWS = "layers";
    private static final String WEIGHTS_TOO = "weights";
    private static final String PARAMETERS_TOO = "parameters";

    private final Map<String, NDArray> singularValues = new LinkedHashMap<>();
    private final List<List<Object>> rows = new ArrayList<>();

    static BlockResults of(BlockContext context) {
        BlockResults results = new BlockResults();
        results.singularValues.putAll(context.singularValues());
        context.blockReports().forEach(report -> results.rows.add(row(report)));
        context.layerReports().forEach(report -> results.rows.add(row(report)));
        return results;
    }

    /** All singular values, by name. */
    Map<String, NDArray> singularValues() {
        return singularValues;
    }

    int size() {
        return rows.size();
    }

    /** Writes {@code layers.csv}. */
    void writeRows(Path file) throws IOException {
        Tables.write(file, TableColumn.header(ApproximatedColumn.values()), rows);
    }

    /** Writes all files of a block, the marker that it is done last. */
    void save(BlockFiles files, BlockContext context, BlockPatch patch) throws IOException {
        if (patch.changesWeights()) {
            patch.writeWeights(files.weights());
        }
        BlockPatch.Factors factors = new BlockPatch.Factors();
        factors.add(patch, context.block().linears().stream().map(Linear::spec).toList());
        factors.write(files.factors());
        context.writeParameters(files.parameters());
        SafetensorsWriter.write(
                files.done(),
                singularValues,
                Map.of(
                        ROWS,
                        JsonMapper.shared().writeValueAsString(rows),
                        WEIGHTS_TOO,
                        String.valueOf(patch.changesWeights()),
                        PARAMETERS_TOO,
                        String.valueOf(!context.parameters().isEmpty())));
    }

    /** Takes over a block that an earlier process finished; returns whether there is a readable one. */
    boolean restore(BlockFiles files, NDManager kept) {
        if (!Files.exists(files.done())) {
            return false;
        }
        try (Safetensors saved = Safetensors.open(files.done())) {
            require(saved, WEIGHTS_TOO, files.weights());
            require(saved, PARAMETERS_TOO, files.parameters());
            Safetensors.open(files.factors()).close();
            BlockResults own = new BlockResults();
            own.rows.addAll(JsonMapper.shared()
                    .readValue(saved.metadata().getOrDefault(ROWS, ""), new TypeReference<List<List<Object>>>() {}));
            for (String name : saved.entries().keySet()) {
                own.singularValues.put(name, saved.load(kept, name));
            }
            takeOver(own, kept);
            return true;
        } catch (IOException | JacksonException e) {
            log.warn("{}: cannot be used, the block is done again: {}", files.done(), e.getMessage());
            return false;
        }
    }

    private static void require(Safetensors saved, String key, Path file) throws IOException {
        if (Boolean.parseBoolean(saved.metadata().get(key))) {
            Safetensors.open(file).close();
        }
    }

    void takeOver(BlockResults own, NDManager kept) {
        own.singularValues.values().forEach(values -> values.attach(kept));
        singularValues.putAll(own.singularValues);
        rows.addAll(own.rows);
    }

    private static List<Object> row(BlockContext.LayerReport report) {
        Map<ApproximatedColumn, Object> cells = new EnumMap<>(ApproximatedColumn.class);
        cells.put(ApproximatedColumn.MODULE, report.linear().module());
        cells.put(ApproximatedColumn.METHOD, report.method());
        cells.put(ApproximatedColumn.OUT_FEATURES, report.linear().outFeatures());
        cells.put(ApproximatedColumn.IN_FEATURES, report.linear().inFeatures());
        cells.put(ApproximatedColumn.RANK, report.rank());
        cells.put(ApproximatedColumn.ERROR_BEFORE, report.errorBefore());
        cells.put(ApproximatedColumn.ERROR_AFTER, report.errorAfter());
        cells.put(ApproximatedColumn.ENERGY_CAPTURED, report.capturedEnergy());
        cells.put(ApproximatedColumn.SECONDS, report.seconds());
        return row(cells);
    }

    private static List<Object> row(BlockContext.BlockReport report) {
        Map<ApproximatedColumn, Object> cells = new EnumMap<>(ApproximatedColumn.class);
        cells.put(ApproximatedColumn.MODULE, "blocks." + report.block());
        cells.put(ApproximatedColumn.METHOD, report.method());
        cells.put(ApproximatedColumn.SECONDS, report.seconds());
        cells.put(ApproximatedColumn.LOSS_RTN, report.nearestLoss());
        cells.put(ApproximatedColumn.LOSS_INITIAL, report.initialLoss());
        cells.put(ApproximatedColumn.LOSS_FINAL, report.finalLoss());
        cells.put(ApproximatedColumn.BEST_STEP, report.bestStep());
        cells.put(ApproximatedColumn.STEPS, report.steps());
        return row(cells);
    }

    private static List<Object> row(Map<ApproximatedColumn, Object> cells) {
        List<Object> row = new ArrayList<>();
        for (ApproximatedColumn column : ApproximatedColumn.values()) {
            row.add(cells.getOrDefault(column, ""));
        }
        return row;
    }
}
