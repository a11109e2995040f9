package dev.ptq;

import static com.tngtech.archunit.core.domain.JavaAccess.Predicates.target;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.Architectures.LayeredArchitecture;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
    private static final String BASE = "dev.ptq";

    private static final String DOMAIN =
            "method calibrate evaluate model layout family weights format data tensor config progress";

    /**
     * Each package and what it may use. Numerics report to nobody, and reports know runs, not experiments: who calls
     * them hands over plain metrics.
     */
    private static final Map<String, String> MAY_USE = new TreeMap<>(Map.ofEntries(
            Map.entry(
                    "cli",
                    "allocate sweep slurm track export report experiment stage run lqer hub artifact environment "
                            + DOMAIN),
            Map.entry("allocate", "stage run artifact method model family format config progress"),
            Map.entry(
                    "export",
                    "experiment stage run artifact model layout family gguf format weights data tensor config progress"),
            Map.entry("sweep", "slurm report experiment stage run lock artifact config progress"),
            Map.entry("slurm", "config"),
            Map.entry("track", "run artifact config"),
            Map.entry("report", "run chart weights artifact config progress"),
            Map.entry(
                    "experiment",
                    "stage run hub artifact calibrate method evaluate model family weights data tensor config progress"),
            Map.entry("stage", "run artifact environment " + DOMAIN),
            Map.entry("run", "lock config progress"),
            Map.entry("method", "calibrate artifact family format model weights data tensor config progress"),
            Map.entry("lqer", "evaluate format config"),
            Map.entry("calibrate", "model weights data tensor config progress"),
            Map.entry("evaluate", "model family weights data tensor artifact config progress"),
            Map.entry("model", "layout family format weights tensor config progress"),
            Map.entry("layout", "format weights tensor config"),
            Map.entry("family", "gguf config"),
            Map.entry("format", "weights tensor config progress"),
            Map.entry("data", "gguf parquet hub tensor config progress"),
            Map.entry("parquet", ""),
            Map.entry("hub", "lock config progress"),
            Map.entry("lock", ""),
            Map.entry("weights", "gguf hub tensor environment config progress"),
            Map.entry("gguf", "tensor"),
            Map.entry("tensor", "environment progress"),
            Map.entry("chart", ""),
            Map.entry("artifact", ""),
            Map.entry("environment", ""),
            Map.entry("config", ""),
            Map.entry("progress", "")));

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages(BASE);

    @Test
    void packagesUseOnlyWhatTheyMay() {
        LayeredArchitecture layers = layeredArchitecture().consideringOnlyDependenciesInLayers();
        for (String name : MAY_USE.keySet()) {
            layers = layers.layer(name).definedBy(BASE + "." + name + "..");
        }
        for (Map.Entry<String, String> entry : MAY_USE.entrySet()) {
            layers = entry.getValue().isEmpty()
                    ? layers.whereLayer(entry.getKey()).mayNotAccessAnyLayer()
                    : layers.whereLayer(entry.getKey())
                            .mayOnlyAccessLayers(entry.getValue().split(" "));
        }
        layers.check(CLASSES);
    }

    @Test
    void everyPackageIsInTheTable() {
        assertThat(CLASSES.stream()
                        .map(JavaClass::getPackageName)
                        .map(name -> name.substring(BASE.length() + 1).replaceFirst("\\..*", ""))
                        .collect(Collectors.toSet()))
                .isEqualTo(MAY_USE.keySet());
    }

    /** Tasks ask through an interface: no model, and nothing outside knows them. */
    @Test
    void tasksKnowNoModel() {
        noClasses()
                .that()
                .resideInAPackage(BASE + ".evaluate.task")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(BASE + ".model..", BASE + ".tensor..")
                .check(CLASSES);
        noClasses()
                .that()
                .resideInAPackage(BASE + ".evaluate")
                .should()
                .dependOnClassesThat()
                .resideInAPackage(BASE + ".evaluate.task")
                .check(CLASSES);
    }

    @Test
    void noCyclesBetweenPackages() {
        slices().matching(BASE + ".(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void roundingIsHalfToEven() {
        noClasses().should().callMethod(Math.class, "round", double.class).check(CLASSES);
        noClasses().should().callMethod(Math.class, "round", float.class).check(CLASSES);
    }

    @Test
    void randomNumbersComeFromSeeds() {
        noClasses().should().callMethod(Math.class, "random").check(CLASSES);
    }

    /** The engine's settings are made in one place: its thread count, and what belongs to a thread of ours. */
    @Test
    void oneClassMakesTheSettingsOfTheTensorEngine() {
        for (String setting : List.of(
                "setNumThreads", "setNumInteropThreads", "setGradMode", "setGraphExecutorOptimize", "getNumThreads")) {
            noClasses()
                    .that()
                    .resideOutsideOfPackage("ai.djl..")
                    .and()
                    .haveNameNotMatching(".*\\.TensorEngine(\\$.*)?")
                    .should()
                    .callMethodWhere(target(name(setting)).and(target(owner(name("ai.djl.pytorch.jni.JniUtils")))))
                    .check(CLASSES);
        }
    }

    /** Only the command line may end the program or write to its streams. */
    @Test
    void onlyCommandsTalkToTheTerminal() {
        noClasses()
                .that()
                .resideOutsideOfPackages(BASE + ".cli", BASE + ".progress")
                .should()
                .accessField(System.class, "out")
                .orShould()
                .callMethod(System.class, "exit", int.class)
                .check(CLASSES);
    }
}
