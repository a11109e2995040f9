package dev.ptq.artifact;

/** What a metric is counted in. */
public enum Unit {
    /** Natural units of information. */
    NATS,
    /** Binary digits. */
    BITS,
    /** A part of a whole, from 0 to 1; a share recovered can lie outside. */
    SHARE,
    /** A perplexity: as many equally likely choices would be as hard. */
    CHOICES
}
