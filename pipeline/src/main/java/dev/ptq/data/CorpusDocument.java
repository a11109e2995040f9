package dev.ptq.data;

/**
 * A piece of a corpus.
 *
 * @param key decides the split; pieces that must stay together share one
 */
record CorpusDocument(String key, String text) {}
