package dev.ptq.evaluate.task;

/** A request as text: how likely is the continuation after the context? */
record TextRequest(String context, String continuation) {}
