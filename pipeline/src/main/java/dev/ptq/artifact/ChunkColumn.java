package dev.ptq.artifact;

/** {@code chunks.csv}: a row for each chunk of a text. */
public enum ChunkColumn implements TableColumn {
    /** The place of the chunk, from 0. */
    CHUNK,
    /** The mean loss of its scored tokens, in nats; empty where there are none. */
    LOSS,
    /** The number of these tokens. */
    TOKENS
}
