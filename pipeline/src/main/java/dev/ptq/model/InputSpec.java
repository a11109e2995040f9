package dev.ptq.model;

/** An input of linears, or of a cache: a hook point of a block, and the number of values of a token there. */
public record InputSpec(int block, HookPoint hookPoint, int features) {}
