package dev.ptq.evaluate.task;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class WikitextDetokenizerTest {
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
