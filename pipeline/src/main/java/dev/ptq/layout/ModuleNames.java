package dev.ptq.layout;

import java.io.IOException;
import java.util.List;
import java.util.regex.Pattern;

/** Names of modules as descriptions write them. */
final class ModuleNames {
    private static final String REGEX = "re:";

    private ModuleNames() {}

    /** Returns whether a name, or after {@code re:} a regular expression, is that of a module. */
    static boolean matches(QuantizationConfig config, String key, String written, String module) throws IOException {
        if (written.startsWith(REGEX)) {
            Pattern pattern = config.pattern(key, written.substring(REGEX.length()));
            return pattern.matcher(module).lookingAt();
        }
        return written.equals(module);
    }

    /** Returns whether a list has a module, one that it is in, or the last parts of its name. */
    static boolean contains(List<String> names, String module) {
        return names.stream()
                .anyMatch(name -> module.equals(name)
                        || module.startsWith(name + ".")
                        || module.endsWith("." + name)
                        || module.contains("." + name + "."));
    }
}
