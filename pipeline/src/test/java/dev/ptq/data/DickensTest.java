package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class DickensTest {
    @Test
    void chaptersHaveAParagraphInEachLine() {
        String book = """
                \ufeffA Title

                By Somebody

                CHAPTER 1

                It was a night like any
                other.  Nothing stirred
                in the house.

                  'A verse,
                  or two.'


                CHAPTER 2

                In the CHAPTER 1 before
                CHAPTER 1 was not a heading alone.""";

        assertThat(Dickens.documents(Stream.of(book.split("\n", -1))))
                .containsExactly(
                        new CorpusDocument(
                                "1",
                                "CHAPTER 1\nIt was a night like any other. Nothing stirred in the house.\n'A verse, or"
                                        + " two.'"),
                        new CorpusDocument(
                                "2", "CHAPTER 2\nIn the CHAPTER 1 before CHAPTER 1 was not a heading alone."));
    }
}
