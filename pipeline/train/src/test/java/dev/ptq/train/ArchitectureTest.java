package dev.ptq.train;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The build sees to it that the program does not use this module: it compiles the program first, and alone. */
class ArchitectureTest {
    private static final String BASE = "dev.ptq";

    /** Packages of the program. {@code cli} only for the way in which its commands fail. */
    private static final List<String> MAY_USE =
            List.of("cli", "evaluate", "model", "family", "weights", "data", "tensor", "chart", "config", "progress");

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages(BASE + ".train");

    @Test
    void usesOnlyWhatItMay() {
        String[] allowed = Stream.concat(Stream.of("train"), MAY_USE.stream())
                .map(name -> BASE + "." + name + "..")
                .toArray(String[]::new);
        noClasses()
                .should()
                .dependOnClassesThat(resideInAPackage(BASE + "..").and(not(resideInAnyPackage(allowed))))
                .check(CLASSES);
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

    @Test
    void theProgramTalksToTheTerminal() {
        noClasses()
                .should()
                .accessField(System.class, "out")
                .orShould()
                .callMethod(System.class, "exit", int.class)
                .check(CLASSES);
    }
}
