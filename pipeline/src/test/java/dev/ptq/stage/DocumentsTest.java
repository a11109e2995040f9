package dev.ptq.stage;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.method.Methods;
import dev.ptq.tensor.Shared;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Pages lead where they say, and the first of them stays short. */
class DocumentsTest {
    private static final Pattern LINK = Pattern.compile("(?:]\\(|srcset=\"|src=\")([^)\"\\s]+)[)\"]");
    private static final Pattern HEADING = Pattern.compile("(?m)^#+ (.*)$");
    private static final Pattern CODE = Pattern.compile("(?ms)^```.*?^```$");

    static List<Path> pages() throws IOException {
        List<Path> pages = new ArrayList<>();
        for (String folder : List.of("", "configs", "docs", "results", "sweeps")) {
            try (Stream<Path> files = Files.list(Shared.root().resolve(folder))) {
                files.filter(file -> file.toString().endsWith(".md")).forEach(pages::add);
            }
        }
        return pages;
    }

    @ParameterizedTest
    @MethodSource("pages")
    void linksLeadSomewhere(Path page) throws IOException {
        List<String> broken = new ArrayList<>();
        Matcher link = LINK.matcher(withoutCode(page));
        while (link.find()) {
            String[] target = link.group(1).split("#", 2);
            if (target[0].contains("://")) {
                continue;
            }
            Path file =
                    target[0].isEmpty() ? page : page.resolveSibling(target[0]).normalize();
            if (!Files.exists(file)
                    || (target.length > 1
                            && file.toString().endsWith(".md")
                            && !anchors(file).contains(target[1]))) {
                broken.add(link.group(1));
            }
        }
        assertThat(broken).as("links of " + page).isEmpty();
    }

    /** As the usual viewers of Markdown name headings. */
    private static Set<String> anchors(Path page) throws IOException {
        Set<String> anchors = new HashSet<>();
        Matcher heading = HEADING.matcher(withoutCode(page));
        while (heading.find()) {
            String name = heading.group(1)
                    .toLowerCase(Locale.ROOT)
                    .replaceAll("[^\\p{L}\\p{N}_ -]", "")
                    .replace(' ', '-');
            anchors.add(name);
        }
        return anchors;
    }

    private static String withoutCode(Path page) throws IOException {
        return CODE.matcher(Files.readString(page)).replaceAll("");
    }

    @Test
    void theReadmeStaysShort() throws IOException {
        assertThat(Files.size(Shared.root().resolve("README.md"))).isLessThanOrEqualTo(8 * 1024);
    }

    @Test
    void theReadmeLeadsToEveryPage() throws IOException {
        String readme = Files.readString(Shared.root().resolve("README.md"));
        for (Path page : pages()) {
            String name = Shared.root().relativize(page).toString().replace('\\', '/');
            if (!name.equals("README.md") && !name.equals("docs/learned.md")) {
                assertThat(readme).contains("](" + name + ")");
            }
        }
    }

    @Test
    void thePageOfMethodsHasThemAll() throws IOException {
        String page = Files.readString(Shared.root().resolve("docs/methods.md"));
        assertThat(Methods.descriptions().keySet())
                .allSatisfy(name -> assertThat(page).contains("\n| `" + name + "` |"));
    }
}
