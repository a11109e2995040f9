package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Expected values are what CPython 3.11 prints. */
class PythonTextTest {
    private static final String SPACES =
            "\t\n\u000b\f\r\u001c\u001d\u001e\u001f \u0085\u00a0\u1680\u2000\u200a\u2028\u2029" + "\u202f\u205f\u3000";

    @Test
    void stripsWhatPythonTakesForWhiteSpace() {
        assertThat(PythonText.strip(SPACES + "a" + SPACES + "b" + SPACES)).isEqualTo("a" + SPACES + "b");
        assertThat(PythonText.stripStart(SPACES + "a ")).isEqualTo("a ");
        assertThat(PythonText.stripEnd(" a" + SPACES)).isEqualTo(" a");
        assertThat(PythonText.strip(SPACES)).isEmpty();
        assertThat(PythonText.strip("")).isEmpty();
        // not white space in Python: zero width space, word joiner, byte order mark, escape
        assertThat(PythonText.strip("\u200b\u2060\ufeff\u001b")).hasSize(4);
    }

    @Test
    void countsWordsWithTheEmptyOnesAtTheEnds() {
        assertThat(List.of("", " ", "a", " a", "a  b\n", " = A = \n").stream()
                        .map(PythonText::words)
                        .toList())
                .containsExactly(1, 2, 1, 2, 3, 5);
    }

    @Test
    void lengthsAreInCharacters() {
        assertThat(PythonText.characters("é𝄞e\u0301")).isEqualTo(4);
    }

    @ParameterizedTest
    @CsvSource({
        "he, He",
        "the OTHER cook, The other cook",
        "ßx, Ssx",
        "ﬁSH, Fish",
        "ÉCOLE, École",
        "ǆabc, ǅabc",
        "ΑΣ, Ας",
        "İX, İx",
        "'', ''",
        "𐐨𐐀, 𐐀𐐨",
        "1aB, 1ab"
    })
    void capitalizes(String text, String expected) {
        assertThat(PythonText.capitalize(text)).isEqualTo(expected);
    }

    @Test
    void lowersTheFirstLetterAlone() {
        assertThat(PythonText.lowerFirst("The Pipe")).isEqualTo("the Pipe");
        assertThat(PythonText.lowerFirst("ÉCOLE")).isEqualTo("éCOLE");
        assertThat(PythonText.lowerFirst("𐐀𐐀")).isEqualTo("𐐨𐐀");
        assertThat(PythonText.lowerFirst("")).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "1E16, 1e+16",
        "1E15, 1000000000000000.0",
        "1E-5, 1e-05",
        "0.0001, 0.0001",
        "123456789012345680, 1.2345678901234568e+17",
        "9007199254740993, 9007199254740992.0",
        "0.1, 0.1",
        "0.3333333333333333, 0.3333333333333333",
        "5E-324, 5e-324",
        "5.684341886080802E-14, 5.684341886080802e-14",
        "1E23, 1e+23",
        "2E-3, 0.002",
        "-12.5, -12.5",
        "-0.0, -0.0",
        "0, 0.0",
        "100, 100.0",
        "1.7976931348623157E308, 1.7976931348623157e+308",
        "-Infinity, -Infinity"
    })
    void writesNumbers(double value, String expected) {
        assertThat(PythonText.number(value)).isEqualTo(expected);
        assertThat(Double.parseDouble(expected)).isEqualTo(value);
    }

    @Test
    void writesJson() {
        JsonNode value = JsonMapper.shared()
                .readTree("{\"a\":[],\"b\":{},\"c\":[1,2.5,null,true],"
                        + "\"d\":\"xé\\\"\\\\\\n\\r\\t\\f\\b\\u0001\\u007f\\u2028\",\"e\":{\"f\":[{\"g\":1e-7}]}}");
        assertThat(PythonText.json(value).split("\n", -1))
                .containsExactly(
                        "{",
                        "  \"a\": [],",
                        "  \"b\": {},",
                        "  \"c\": [",
                        "    1,",
                        "    2.5,",
                        "    null,",
                        "    true",
                        "  ],",
                        "  \"d\": \"xé\\\"\\\\\\n\\r\\t\\f\\b\\u0001\u007f\u2028\",",
                        "  \"e\": {",
                        "    \"f\": [",
                        "      {",
                        "        \"g\": 1e-07",
                        "      }",
                        "    ]",
                        "  }",
                        "}");
    }

    @Test
    void drawsAsPythonDoes() {
        PythonRandom random = new PythonRandom(0);
        assertThat(random.uniform()).isEqualTo(0.8444218515250481);
        assertThat(random.uniform()).isEqualTo(0.7579544029403025);
        assertThat(new PythonRandom(Integer.MAX_VALUE).uniform()).isEqualTo(0.3177580158172969);

        PythonRandom carriedOn = new PythonRandom(42);
        assertThat(carriedOn.shuffled(10)).containsExactly(7, 3, 2, 8, 5, 6, 9, 4, 0, 1);
        assertThat(carriedOn.sample(6, 2)).containsExactly(4, 3);
        assertThat(carriedOn.sample(500, 3)).containsExactly(16, 15, 47);

        PythonRandom second = new PythonRandom(7);
        for (int i = 0; i < 700; i++) {
            second.uniform();
        }
        assertThat(second.uniform()).isEqualTo(0.33805157034346633);
        assertThat(second.sample(100, 6)).containsExactly(53, 46, 87, 50, 25, 0);
    }

    @Test
    void drawsOfNothingAndOfAll() {
        PythonRandom random = new PythonRandom(1);
        assertThat(random.sample(3, 0)).isEmpty();
        assertThat(random.shuffled(0)).isEmpty();
        assertThat(random.shuffled(1)).containsExactly(0);
        assertThat(random.sample(30, 30)).containsOnlyOnce(0, 7, 29).hasSize(30);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> random.sample(2, 3))
                .withMessage("cannot draw 3 of 2");
    }

    @Test
    void detokenizesWikitext() {
        assertThat(WikitextDetokenizer.apply("the boys ' 1 @,@ 200 @-@ page ( old ) book , \" so \" it 's 5 @.@ 1 ° C ."
                        + " [ a ( b ] c ) N \n = = = = x \n y ' z ' s '"))
                .isEqualTo("the boys'1,200-page (old) book, \"so\" it's 5.1°C. [a (b] c) N\n==== x\ny 'z' s'");
    }

    /** Nothing in it is tried over and over. */
    @Test
    void anOpenBracketBeforeALongTextTakesNoTime() {
        String text = "( ".repeat(200_000) + "x ".repeat(200_000);
        assertThat(WikitextDetokenizer.apply(text)).isEqualTo(text);
    }
}
