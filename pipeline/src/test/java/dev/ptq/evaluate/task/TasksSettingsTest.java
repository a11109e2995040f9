package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.ptq.config.ConfigException;
import dev.ptq.config.ConfigTable;
import dev.ptq.config.TomlWriter;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TasksSettingsTest {
    @Test
    void hasDefaults() {
        assertThat(TestSettings.of("names = ['piqa', 'mmlu_stem']"))
                .isEqualTo(new TasksSettings(
                        List.of("piqa", "mmlu_stem"),
                        0,
                        OptionalDouble.empty(),
                        Profile.HARNESS,
                        TestSettings.data().toString(),
                        16,
                        1000,
                        1234,
                        Optional.empty(),
                        false,
                        List.of(),
                        List.of()));
        assertThat(TestSettings.of("names = ['piqa']\nprofile = 'lqer-0.3'").lqerJson())
                .isTrue();
    }

    @Test
    void readsEveryKeyAndWritesThemBack() {
        String toml = "names = ['copa']\nnum_fewshot = 5\nlimit = 0.25\nprofile = 'lqer-0.3'\nbatch_size = 3\n"
                + "bootstrap = 0\nseed = 7\nadd_bos = false\nlqer_json = false\nquirks = ['own_answer', 'scored_bos']";
        TasksSettings settings = TestSettings.of(toml);
        assertThat(settings)
                .isEqualTo(new TasksSettings(
                        List.of("copa"),
                        5,
                        OptionalDouble.of(0.25),
                        Profile.LQER,
                        TestSettings.data().toString(),
                        3,
                        0,
                        7,
                        Optional.of(false),
                        false,
                        List.of(Quirk.OWN_ANSWER, Quirk.SCORED_BOS),
                        List.of()));

        ConfigTable table = ConfigTable.parse(
                toml + "\ndata = '" + TestSettings.data() + "'", "x", List.of(), TasksSettings.SECTION);
        TasksSettings.read(table);
        ConfigTable again =
                ConfigTable.parse(TomlWriter.write(table.resolved()), "x", List.of(), TasksSettings.SECTION);
        assertThat(TasksSettings.read(again)).isEqualTo(settings);
        again.finish();
    }

    @Test
    void aTaskMayHaveItsOwnShotsAndLimit() {
        TasksSettings settings = TestSettings.of("names = ['piqa', 'copa', 'wikitext']\nnum_fewshot = 5\nlimit = 20\n"
                + "copa = { num_fewshot = 0 }\nwikitext = { num_fewshot = 0, limit = 0.5 }");

        assertThat(settings.with("piqa", "").numFewshot()).isEqualTo(5);
        assertThat(settings.with("copa", ""))
                .isEqualTo(TestSettings.of("names = ['copa']\nnum_fewshot = 0\nlimit = 20")
                        .with("copa", ""));
        assertThat(settings.with("wikitext", "").limit()).hasValue(0.5);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '~',
            value = {
                "names = ['arc_esay'] | names: there is no task \"arc_esay\"; did you mean \"arc_easy\"?",
                "names = ['mmlu_virolgy'] | names: there is no task \"mmlu_virolgy\"; did you mean \"mmlu_virology\"?",
                "names = ['gsm9k'] | names: there is no task \"gsm9k\"; `ptq list tasks` shows them",
                "names = ['gsm8k'] | names: \"gsm8k\" is scored by what a model writes, and tasks here by the"
                        + " likelihood of given answers; leave it out, `ptq list tasks` shows those that there are",
                "names = ['ruler_vt'] | names: \"ruler_vt\" is scored by what a model writes, and tasks here by the"
                        + " likelihood of given answers; leave it out, `ptq list tasks` shows those that there are",
                "names = ['mmlu', 'mmlu_stem'] | names: \"mmlu_stem\" names mmlu_abstract_algebra, which an earlier one"
                        + " does too",
                "names = ['piqa', 'piqa'] | names: \"piqa\" names piqa, which an earlier one does too",
                "names = [] | names: expected at least one task; `ptq list tasks` shows them",
                "names = ['piqa']; limit = 0 | limit: expected a number of documents, or a share of them below 1, got"
                        + " 0",
                "names = ['piqa']; limit = 1.5 | limit: expected a number of documents, or a share of them below 1, got"
                        + " 1.5",
                "names = ['wikitext']; num_fewshot = 2 | num_fewshot: expected 0 for wikitext, which takes no examples",
                "names = ['mmlu']; profile = 'lqer-0.3' | names: profile lqer-0.3 has no task \"mmlu\"",
                "names = ['piqa']; profile = 'lqer' | profile: expected one of [harness-0.4, lqer-0.3], got \"lqer\"",
                "names = ['piqa']; quirks = ['own_answers'] | quirks.0: expected one of [own_answer, scored_bos], got"
                        + " \"own_answers\"; did you mean \"own_answer\"?",
                "names = ['piqa']; bootstrap = -1 | bootstrap: expected a whole number from 0 to 1000000, got -1",
                "names = ['piqa']; piqas = { limit = 4 } | piqas: expected one of names, [piqa]; did you mean \"piqa\"?",
                "names = ['piqa']; piqa = { limit = 0 } | piqa.limit: expected a number of documents, or a share of them"
                        + " below 1, got 0",
                "names = ['piqa']; piqa = { shots = 4 } | piqa.shots: unknown key; expected one of [num_fewshot, limit]",
                "names = ['wikitext', 'piqa']; wikitext = { num_fewshot = 2 } | num_fewshot: expected 0 for wikitext,"
                        + " which takes no examples",
                "names = ['piqa']; num_fewshots = 2 | num_fewshots: unknown key; did you mean \"num_fewshot\"?",
                "names = ['piqa']; lqer_json = true; piqa = { limit = 2 } | piqa: expected the same for all tasks with"
                        + " lqer_json, as LQER's files have one num_fewshot and limit",
                "names = 'piqa' | names: expected a list of strings, got \"piqa\""
            })
    void reportsWhatIsWrong(String toml, String message) {
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> TestSettings.of(toml.replace("; ", "\n")))
                .satisfies(wrong -> assertThat(wrong.problems()).hasSize(1))
                .satisfies(wrong -> assertThat(wrong.problems().get(0).replaceFirst("^x:[0-9]+:[0-9]+: ", ""))
                        .isEqualTo(message));
    }

    @Test
    void reportsEverythingAtOnce() {
        ConfigTable table = ConfigTable.parse(
                "names = ['x', 'y']\ndata = 'no/such'\nlimit = 'all'\nfewshots = 1",
                "x",
                List.of(),
                TasksSettings.SECTION);
        TasksSettings.read(table);
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(table::finish)
                .satisfies(wrong -> assertThat(wrong.problems())
                        .containsExactly(
                                "x:1:1: names: there is no task \"x\"; `ptq list tasks` shows them",
                                "x:1:1: names: there is no task \"y\"; `ptq list tasks` shows them",
                                "x:2:1: data: no such folder: \"no/such\" (a path in a file starts at its folder,"
                                        + " others at the current directory)",
                                "x:3:1: limit: expected a number of documents, or a share of them below 1, got"
                                        + " all",
                                "x:4:1: fewshots: unknown key; expected one of [profile, names, num_fewshot,"
                                        + " data, quirks, limit, batch_size, bootstrap, seed, add_bos, lqer_json]"));
    }

    @Test
    void limitsAreCountsOrShares() {
        assertThat(TestSettings.of("names = ['piqa']").limited(7)).isEqualTo(7);
        assertThat(TestSettings.of("names = ['piqa']\nlimit = 3").limited(7)).isEqualTo(3);
        assertThat(TestSettings.of("names = ['piqa']\nlimit = 9").limited(7)).isEqualTo(7);
        assertThat(TestSettings.of("names = ['piqa']\nlimit = 1").limited(7)).isEqualTo(1);
        assertThat(TestSettings.of("names = ['piqa']\nlimit = 0.5").limited(7)).isEqualTo(4);
        assertThat(TestSettings.of("names = ['piqa']\nlimit = 0.5\nprofile = 'lqer-0.3'")
                        .limited(7))
                .isEqualTo(3);
    }

    @Test
    void knowsTheTasksOfGroups() {
        assertThat(TestSettings.of("names = ['mmlu']").tasks()).hasSize(57);
        assertThat(TestSettings.of("names = ['mmlu_humanities', 'mmlu_anatomy']")
                        .tasks())
                .hasSize(14)
                .extracting(Task::name)
                .contains("mmlu_philosophy", "mmlu_anatomy");
    }
}
