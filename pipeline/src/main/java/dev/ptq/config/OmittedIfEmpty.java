package dev.ptq.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A list or optional among settings that has no part in their fingerprint while it is empty, so that what came later leaves
 * the fingerprints of those that do not use it.
 */
@Target(ElementType.RECORD_COMPONENT)
@Retention(RetentionPolicy.RUNTIME)
public @interface OmittedIfEmpty {}
