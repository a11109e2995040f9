package dev.ptq.artifact;

/** The columns of {@code chunks.csv}: one row per chunk of a text. */
public enum ChunkColumn implements TableColumn {
    /** Index of the chunk, from 0. */
    CHUNK,
    /** The mean loss of its scored tokens, in nats; empty if there are none. */
    LOSS,
    /** The number of scored tokens. */
    TOKENS
}
