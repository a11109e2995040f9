package dev.ptq.data;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EnglishTest {
    @ParameterizedTest
    @ValueSource(
            strings = {
                "Mr President, the committee has looked at this proposal with great care.",
                "THE SITTING WAS CLOSED AT 23.40",
                "That concludes the vote.",
                "(FI) Madam President, fishermen in our islands cannot live from what is left to them.",
                "of small farms, which is why we shall vote against this and ask Mrs Schörling to withdraw it."
            })
    void isAccepted(String text) {
        assertThat(English.is(text)).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "da | Hr. formand, jeg vil gerne takke ordføreren for det arbejde, hun har gjort for at nå til enighed.",
                "de | Herr Präsident, die Kommission hat in dieser Sache nicht das getan, was wir von ihr erwartet haben.",
                "el | Κύριε Πρόεδρε, η πρόταση αυτή είναι ένα σημαντικό βήμα για την προστασία των καταναλωτών.",
                "es | Señor Presidente, quisiera dar las gracias a la ponente por el trabajo que ha hecho en esta materia.",
                "fi | Arvoisa puhemies, haluan kiittää esittelijää siitä, että hän on ottanut huomioon myös pienet tilat.",
                "fr | Monsieur le Président, je voudrais remercier le rapporteur de tout ce qu'il a fait pour ce texte.",
                "it | Signor Presidente, vorrei ringraziare la relatrice per il lavoro che ha svolto in questi mesi.",
                "nl | Mijnheer de Voorzitter, we zijn het in de commissie op dit punt niet met de Raad eens geworden.",
                "pt | Senhor Presidente, gostaria de agradecer à relatora o trabalho que fez ao longo deste ano.",
                "sv | Herr talman! Vi har i utskottet inte kunnat enas om hur det här förslaget ska finansieras.",
                "bg | Г-н председател, искам да благодаря на докладчика за усилията, които положи през годината.",
                "cs | Pane předsedo, rád bych poděkoval zpravodajce za to, co by bez ní nikdy nevzniklo.",
                "et | Austatud president, ma tahan tänada raportööri töö eest, mida ta sel aastal on teinud.",
                "hu | Elnök úr, szeretném megköszönni az előadónak azt a munkát, amelyet ebben az évben végzett.",
                "lt | Gerbiamas pirmininke, norėčiau padėkoti pranešėjai už darbą, kurį ji šiais metais atliko.",
                "lv | Priekšsēdētāja kungs, es vēlos pateikties referentei par darbu, ko viņa šogad paveikusi.",
                "pl | Panie przewodniczący, chciałbym podziękować sprawozdawcy za pracę, którą w tym roku wykonał.",
                "ro | Domnule președinte, aș dori să mulțumesc raportoarei pentru munca depusă în acest an.",
                "sk | Vážený pán predsedajúci, rád by som poďakoval spravodajkyni za prácu, ktorú tento rok urobila.",
                "sl | Gospod predsednik, rad bi se zahvalil poročevalki za delo, ki ga je opravila v tem letu."
            })
    void otherLanguagesAreRefused(String language, String text) {
        assertThat(English.is(text)).as(language).isFalse();
    }

    @Test
    void aQuotationDoesNotMakeATextEnglish() {
        assertThat(English.is("Wie der Kollege sagte: \"The answer is no\", und dabei ist es, wie wir alle hier wissen,"
                        + " auch nach der Aussprache im Ausschuss und nach drei Sitzungen geblieben, leider."))
                .isFalse();
    }

    @Test
    void aTextWithoutWordsIsNotEnglish() {
        assertThat(English.is("")).isFalse();
        assertThat(English.is(". 12 - 15")).isFalse();
    }
}
