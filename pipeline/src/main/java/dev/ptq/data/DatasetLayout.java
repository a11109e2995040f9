package dev.ptq.data;

import dev.ptq.config.ConfigException;
import dev.ptq.config.NaturalOrder;
import dev.ptq.config.Spelling;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Finds the files of a split: those that the card lists, or else those named after the split.
 *
 * @param where the data set is, for messages
 * @param names of all files, relative, with slashes
 */
record DatasetLayout(String where, List<String> names, Optional<DatasetCard> card) {
    private static final Pattern SHARD =
            Pattern.compile("(?<before>.*[-._])(?<index>[0-9]{5})-of-(?<count>[0-9]{5})(?<after>\\..*)");

    DatasetLayout {
        names = names.stream()
                .filter(Rows::hasEnding)
                .sorted(NaturalOrder.INSTANCE)
                .toList();
    }

    /**
     * Returns the files of a split in natural order.
     *
     * @throws ConfigException if there are none, or a shard is missing
     */
    List<String> files(Optional<String> config, String split) {
        return oneEnding(
                card.isPresent() && !card.get().configs().isEmpty()
                        ? ofCard(card.get(), config, split)
                        : called(config, split));
    }

    private List<String> ofCard(DatasetCard card, Optional<String> config, String split) {
        String name = config.or(card::defaultConfig).orElse("");
        DatasetCard.Config chosen = card.configs().get(name);
        if (chosen == null) {
            throw none("config", config, card.configs().keySet());
        }
        if (chosen.patterns().isEmpty()) {
            String folder = chosen.folder().orElse("").replaceFirst("^\\./", "").replaceFirst("/+$", "");
            return folder.isEmpty() ? called(config, split) : in(List.of(folder + "/"), split);
        }
        List<String> patterns = chosen.patterns().get(split);
        if (patterns == null) {
            throw none("split", Optional.of(split), chosen.patterns().keySet());
        }
        List<String> files = names.stream()
                .filter(file -> patterns.stream().anyMatch(pattern -> matches(pattern.replaceFirst("^\\./", ""), file)))
                .toList();
        if (files.isEmpty()) {
            throw new ConfigException(where + ": split \"" + split + "\" is " + patterns + " by its "
                    + DatasetCard.FILE + ", but no file of a kind that can be read is called so; there are "
                    + shown(names));
        }
        if (patterns.stream().anyMatch(pattern -> pattern.contains("*"))) { // else some shards may be all that is meant
            requireShards(files);
        }
        return files;
    }

    private List<String> called(Optional<String> config, String split) {
        Optional<String> named = config.filter(name -> !name.equals("default"));
        if (named.isPresent()) {
            String name = named.get();
            return in(List.of(name + "/", name + "/data/", "data/" + name + "/"), split);
        }
        List<String> top = List.of("", "data/");
        Set<String> folders = new TreeSet<>(NaturalOrder.INSTANCE);
        names.forEach(name -> folders.add(name.substring(0, name.indexOf('/') + 1)));
        top.forEach(folders::remove);
        List<String> configs =
                folders.stream().filter(folder -> !in(folder, split).isEmpty()).toList();
        boolean here = top.stream()
                .anyMatch(folder ->
                        !splits(folder).isEmpty() || !in(folder, split).isEmpty());
        if (here || configs.isEmpty()) {
            return in(top, split);
        }
        if (configs.size() > 1) {
            throw none(
                    "config",
                    Optional.empty(),
                    configs.stream()
                            .map(folder -> folder.substring(0, folder.length() - 1))
                            .toList());
        }
        return in(configs, split);
    }

    private List<String> in(List<String> folders, String split) {
        Set<String> found = new TreeSet<>(NaturalOrder.INSTANCE);
        for (String folder : folders) {
            List<String> files = in(folder, split);
            if (!files.isEmpty()) {
                requireShards(files);
                return files;
            }
            found.addAll(splits(folder));
        }
        if (!found.isEmpty()) {
            throw none("split", Optional.of(split), found);
        }
        throw new ConfigException(where + ": expected files called after the split \"" + split + "\" in "
                + folders.stream()
                        .map(folder -> folder.isEmpty() ? "the folder" : folder)
                        .toList()
                + ", ending in one of " + Rows.ENDINGS + "; found " + shown(names));
    }

    /** Returns files named after the split, or in a folder that is. */
    private List<String> in(String folder, String split) {
        String below = folder + split + "/";
        return names.stream()
                .filter(name -> splitOf(folder, name).filter(split::equals).isPresent()
                        || (name.startsWith(below) && name.indexOf('/', below.length()) < 0))
                .toList();
    }

    private Set<String> splits(String folder) {
        Set<String> splits = new TreeSet<>(NaturalOrder.INSTANCE);
        names.forEach(name -> splitOf(folder, name).ifPresent(splits::add));
        return splits;
    }

    /**
     * Returns the split that a file directly in a folder is named after: {@code test.jsonl}, {@code
     * test-00000-of-2.parquet}.
     */
    private static Optional<String> splitOf(String folder, String name) {
        return name.startsWith(folder) && name.indexOf('/', folder.length()) < 0
                ? Optional.of(name.substring(
                                folder.length(), name.length() - ending(name).length())
                        .replaceFirst("[-._][0-9].*", ""))
                : Optional.empty();
    }

    private static String ending(String name) {
        return Rows.ENDINGS.stream().filter(name::endsWith).findFirst().orElse("");
    }

    /** Picks one ending: the same rows may be there in several formats. */
    private static List<String> oneEnding(List<String> files) {
        for (String ending : Rows.ENDINGS) {
            List<String> same =
                    files.stream().filter(file -> file.endsWith(ending)).toList();
            if (!same.isEmpty()) {
                return same;
            }
        }
        return files;
    }

    private void requireShards(List<String> files) {
        Set<String> there = new HashSet<>(files);
        Set<String> known = new HashSet<>();
        for (String file : files) {
            Matcher shard = SHARD.matcher(file);
            if (known.contains(file) || !shard.matches()) {
                continue;
            }
            int count = Integer.parseInt(shard.group("count"));
            for (int i = 0; i < count; i++) {
                String other = String.format(
                        Locale.ROOT, "%s%05d-of-%05d%s", shard.group("before"), i, count, shard.group("after"));
                known.add(other);
                if (!there.contains(other)) {
                    throw new ConfigException(
                            where + ": " + other + " is missing, one of " + count + " files of a split");
                }
            }
        }
    }

    private ConfigException none(String what, Optional<String> asked, Collection<String> there) {
        return new ConfigException(where + ": "
                + asked.map(name -> "has no " + what + " \"" + name + "\"")
                        .orElse("has several data sets; add " + what + " = \"…\"")
                + ", one of " + new ArrayList<>(there)
                + asked.map(name -> Spelling.hint(Spelling.closest(name, there)))
                        .orElse(""));
    }

    private static String shown(List<String> names) {
        int most = 10;
        return names.size() <= most
                ? names.toString()
                : names.subList(0, most) + " and " + (names.size() - most) + " more";
    }

    /** Returns whether a name matches a pattern, in which ? and * match anything but a slash, and ** anything. */
    static boolean matches(String pattern, String name) {
        // prefixes of the name that the pattern may have matched so far: one flag per length
        boolean[] reached = new boolean[name.length() + 1];
        reached[0] = true;
        for (int at = 0; at < pattern.length(); at++) {
            char c = pattern.charAt(at);
            boolean any = c == '*' && pattern.startsWith("**", at);
            boolean[] next = new boolean[reached.length];
            for (int i = 0; i < reached.length; i++) {
                boolean ordinary = i > 0 && name.charAt(i - 1) != '/';
                if (c == '*') {
                    next[i] = reached[i] || (i > 0 && (any || ordinary) && next[i - 1]);
                } else {
                    next[i] = i > 0 && reached[i - 1] && (c == '?' ? ordinary : c == name.charAt(i - 1));
                }
            }
            reached = next;
            if (any) {
                at++;
                if (pattern.startsWith("/", at + 1)) { // one more folder, or none
                    at++;
                    for (int i = 1; i < reached.length; i++) {
                        reached[i] &= name.charAt(i - 1) == '/';
                    }
                }
            }
        }
        return reached[name.length()];
    }
}
