package dev.ptq.evaluate.task;

/** What a model is asked: how likely the continuation is after the context. */
record TextRequest(String context, String continuation) {}
