package dev.ptq.stage;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import dev.ptq.artifact.ApproximatedColumn;
import dev.ptq.artifact.FoldColumn;
import dev.ptq.artifact.LedgerColumn;
import dev.ptq.artifact.LedgerEntry;
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

/**
 * The methods' reports on one block, or on all so far: rows of {@code layers.csv}, {@code
 * folds.csv} and {@code ledger.csv}, and singular values.
 */
final class BlockResults {
    private static final Logger log = LoggerFactory.getLogger(BlockResults.class);
    private static final String ROWS = "layers";
    private static final String WEIGHTS_TOO = "weights";
    private static final String PARAMETERS_TOO = "parameters";
    private static final String FOLDS = "folds";
    private static final String LEDGER = "ledger";

    private final Map<String, NDArray> singularValues = new LinkedHashMap<>();
    private final List<List<Object>> rows = new ArrayList<>();
    private final List<List<Object>> folds = new ArrayList<>();
    private final List<LedgerEntry> ledger = new ArrayList<>();

    /** Takes a context's reports. */
    static BlockResults of(BlockContext context) {
        BlockResults results = new BlockResults();
        context.foldReports()
                .forEach(report -> results.folds.add(List.of(report.method(), report.block(), report.distance())));
        results.ledger.addAll(context.ledger());
        results.singularValues.putAll(context.singularValues());
        context.blockReports().forEach(report -> results.rows.add(row(report)));
        context.scaleReports().forEach(report -> results.rows.add(row(report)));
        context.clipReports().forEach(report -> results.rows.add(row(report)));
        context.roundingReports().forEach(report -> results.rows.add(row(report)));
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

    /** Rows of {@code folds.csv}. */
    List<List<Object>> folds() {
        return folds;
    }

    /** Rows of {@code ledger.csv}. */
    List<LedgerEntry> ledger() {
        return ledger;
    }

    /** The largest distance of all folds; 0 if there are none. */
    double transformDistance() {
        return folds.stream()
                .mapToDouble(row -> ((Number) row.get(row.size() - 1)).doubleValue())
                .max()
                .orElse(0);
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
        Map<String, String> metadata = new LinkedHashMap<>();
        metadata.put(ROWS, JsonMapper.shared().writeValueAsString(rows));
        metadata.put(WEIGHTS_TOO, String.valueOf(patch.changesWeights()));
        metadata.put(PARAMETERS_TOO, String.valueOf(!context.parameters().isEmpty()));
        metadata.put(FOLDS, JsonMapper.shared().writeValueAsString(folds));
        metadata.put(
                LEDGER,
                JsonMapper.shared()
                        .writeValueAsString(
                                ledger.stream().map(LedgerEntry::cells).toList()));
        SafetensorsWriter.write(files.done(), singularValues, metadata);
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
            own.rows.addAll(rows(saved, ROWS, ApproximatedColumn.values().length));
            own.folds.addAll(rows(saved, FOLDS, FoldColumn.values().length));
            for (List<Object> cells : rows(saved, LEDGER, LedgerColumn.values().length)) {
                own.ledger.add(
                        LedgerEntry.of(cells.stream().map(String::valueOf).toList())
                                .orElseThrow(() -> new IOException("its ledger has a row " + cells)));
            }
            for (String name : saved.entries().keySet()) {
                own.singularValues.put(name, saved.load(kept, name));
            }
            takeOver(own, kept);
            return true;
        } catch (IOException | JacksonException | NumberFormatException e) {
            log.warn("{}: cannot be used, the block is done again: {}", files.done(), e.getMessage());
            return false;
        }
    }

    private static List<List<Object>> rows(Safetensors saved, String name, int columns) throws IOException {
        List<List<Object>> rows = JsonMapper.shared()
                .readValue(saved.metadata().getOrDefault(name, ""), new TypeReference<List<List<Object>>>() {});
        if (rows.stream().anyMatch(row -> row.size() != columns)) {
            throw new IOException("its " + name + " have other columns");
        }
        return rows;
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
        folds.addAll(own.folds);
        ledger.addAll(own.ledger);
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
        report.split().ifPresent(split -> {
            cells.put(ApproximatedColumn.LOSS_RTN, split.roundedLoss());
            cells.put(ApproximatedColumn.LOSS_INITIAL, split.firstLoss());
            cells.put(ApproximatedColumn.LOSS_FINAL, split.loss());
            cells.put(ApproximatedColumn.BEST_STEP, split.bestStep());
            cells.put(ApproximatedColumn.STEPS, split.steps());
            cells.put(ApproximatedColumn.SPLIT_RANK, split.ofWeight());
            split.separateLoss().ifPresent(loss -> cells.put(ApproximatedColumn.LOSS_SEPARATE, loss));
        });
        return row(cells);
    }

    private static List<Object> row(BlockContext.ScaleReport report) {
        Map<ApproximatedColumn, Object> cells = new EnumMap<>(ApproximatedColumn.class);
        cells.put(ApproximatedColumn.MODULE, "blocks." + report.block() + "." + report.mapping());
        cells.put(ApproximatedColumn.METHOD, report.method());
        cells.put(ApproximatedColumn.NOTE, report.note());
        cells.put(ApproximatedColumn.SECONDS, report.seconds());
        cells.put(ApproximatedColumn.LOSS_RTN, report.nearestLoss());
        cells.put(ApproximatedColumn.LOSS_FINAL, report.loss());
        if (report.ratio().isPresent()) {
            cells.put(ApproximatedColumn.RATIO, report.ratio().getAsDouble());
            cells.put(ApproximatedColumn.DUO, report.duo());
        }
        return row(cells);
    }

    private static List<Object> row(BlockContext.ClipReport report) {
        Map<ApproximatedColumn, Object> cells = new EnumMap<>(ApproximatedColumn.class);
        cells.put(ApproximatedColumn.MODULE, report.linear().module());
        cells.put(ApproximatedColumn.METHOD, report.method());
        cells.put(ApproximatedColumn.OUT_FEATURES, report.linear().outFeatures());
        cells.put(ApproximatedColumn.IN_FEATURES, report.linear().inFeatures());
        cells.put(ApproximatedColumn.SECONDS, report.seconds());
        cells.put(ApproximatedColumn.LOSS_RTN, report.nearestLoss());
        cells.put(ApproximatedColumn.LOSS_FINAL, report.loss());
        cells.put(ApproximatedColumn.CLIPPED, report.clipped());
        return row(cells);
    }

    private static List<Object> row(BlockContext.RoundingReport report) {
        Map<ApproximatedColumn, Object> cells = new EnumMap<>(ApproximatedColumn.class);
        cells.put(ApproximatedColumn.MODULE, report.linear().module());
        cells.put(ApproximatedColumn.METHOD, report.method());
        cells.put(ApproximatedColumn.OUT_FEATURES, report.linear().outFeatures());
        cells.put(ApproximatedColumn.IN_FEATURES, report.linear().inFeatures());
        cells.put(ApproximatedColumn.SECONDS, report.seconds());
        cells.put(ApproximatedColumn.LOSS_RTN, report.nearestLoss());
        cells.put(ApproximatedColumn.LOSS_FINAL, report.loss());
        cells.put(ApproximatedColumn.DAMPING, report.damping());
        cells.put(ApproximatedColumn.DEAD_COLUMNS, report.deadColumns());
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
