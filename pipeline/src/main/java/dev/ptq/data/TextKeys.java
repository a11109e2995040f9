package dev.ptq.data;

import dev.ptq.config.Choices;
import dev.ptq.config.Key;
import dev.ptq.config.Keys;
import dev.ptq.data.TextFile.Layout;
import java.util.Optional;

/** The keys that name a text. */
final class TextKeys {
    static final Key<String> DATASET = Key.pathOr(
                    "dataset", name -> Corpus.named(name).isPresent())
            .says("the name of a [corpus](#corpora), a file, a folder of files or a data set on the hub, see"
                    + " [files](#files-and-folders)");

    static final Key<Optional<String>> CONFIG = Key.text("config")
            .optional("")
            .says("which data set to take from a folder, or from a repository on the hub, that holds several");

    static final Key<Layout> LAYOUT = Key.choice(
                    "layout",
                    Choices.of("document", Layout.DOCUMENT, "one row")
                            .and("lines", Layout.LINES, "a row for each line")
                            .and(
                                    "wikitext",
                                    Layout.WIKITEXT,
                                    "the tokenised edition of wikitext: `<unk>` becomes `unk`, a blank line is an"
                                            + " empty row, any other line keeps its line end"))
            .preset(Layout.DOCUMENT)
            .says("how a `.txt` file is split into rows, which two newlines then join");

    static final Key<String> FIELD = Key.text("field")
            .preset("text")
            .says("the field of a row that holds its text; a `.txt` file has no fields");

    private static final String SPLIT = "split";
    private static final String SPLIT_MEANING =
            "part of the data set: of a corpus one of these three, of a folder or on the hub any that it has; a file"
                    + " has no splits";

    private TextKeys() {}

    static Key<Split> corpusSplit(Split preset) {
        return Key.choice(SPLIT, Choices.of(Split.values(), Split::label, split -> ""))
                .preset(preset)
                .says(SPLIT_MEANING);
    }

    static Key<String> split(Split preset) {
        return Key.text(SPLIT).preset(preset.label()).says(SPLIT_MEANING);
    }

    static Keys all(Split preset) {
        return Keys.of(DATASET, CONFIG, corpusSplit(preset), split(preset), LAYOUT, FIELD);
    }
}
