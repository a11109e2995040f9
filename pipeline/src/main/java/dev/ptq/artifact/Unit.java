package dev.ptq.artifact;

/** The unit of a metric. */
public enum Unit {
    /** Natural units of information. */
    NATS,
    /** Binary digits. */
    BITS,
    /** Of eight bits. */
    BYTES,
    /** Multiplications and additions of single bits. */
    OPERATIONS,
    /** Tokens. */
    TOKENS,
    /** A part of a whole, from 0 to 1; a share recovered can lie outside. */
    SHARE,
    /** A perplexity: the number of equally likely choices that would be as hard. */
    CHOICES
}
