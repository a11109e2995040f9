package dev.ptq.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.ptq.report.ResultTable.Column;
import dev.ptq.report.ResultTable.Kind;
import java.math.BigDecimal;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;

class CsvTextTest {
    private static String csv(Object... cells) {
        List<List<Object>> rows = List.of(List.of(cells));
        List<Column> columns =
                rows.get(0).stream().map(cell -> new Column("c", Kind.SETTING)).toList();
        String text = CsvText.of(new ResultTable(columns, rows));
        return text.substring(text.indexOf('\n') + 1);
    }

    @Test
    void whatASpreadsheetWouldExecuteGetsAnApostrophe() {
        assertThat(csv("=1+1", "+1", "-1", "@a", "\tx", "a=b", "")).isEqualTo("'=1+1,'+1,'-1,'@a,'\tx,a=b,\n");
        assertThat(csv(-1, -0.5, new BigDecimal("-1.50"))).isEqualTo("-1,-0.5,-1.50\n");
        assertThat(CsvText.of(new ResultTable(List.of(new Column("=a", Kind.MEASURE)), List.of())))
                .isEqualTo("'=a\n");
    }

    @Test
    void aTerminalIsToldNothing() {
        assertThat(csv("a\u001b[31mb\u0000c\u009b1", "a\tb")).isEqualTo("a [31mb c 1,a\tb\n");
    }

    @Test
    void textIsQuotedWhereItMustBe() {
        assertThat(csv("a,b", "say \"a\"", "two\nlines", List.of(1L, 16L), true))
                .isEqualTo("\"a,b\",\"say \"\"a\"\"\",\"two\nlines\",\"[1, 16]\",true\n");
    }

    @Test
    void numbersHaveAPointWhereverTheReaderIs() {
        Locale before = Locale.getDefault();
        Locale.setDefault(Locale.GERMANY);
        try {
            assertThat(csv(4.25, 1234567.5, new BigDecimal("0.00001"), 1234567L))
                    .isEqualTo("4.25,1234567.5,0.00001,1234567\n");
        } finally {
            Locale.setDefault(before);
        }
    }
}
