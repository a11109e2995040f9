package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class EuroparlTest {
    @Test
    void keepsTheTextOfEnglishPieces() {
        assertThat(Europarl.documents(Stream.of(
                        "Fishing\t2004-03-30\t  that is what   we think.\u00a0 The vote  is tomorrow. ",
                        "The vote\t2004-03-30\tWir kommen nun zur Abstimmung.",
                        "Abstimmung\t2004-03-31\tThat concludes the vote.")))
                .containsExactly(
                        new CorpusDocument("2004-03-30", "that is what we think. The vote is tomorrow."),
                        new CorpusDocument("2004-03-31", "That concludes the vote."));
    }
}
