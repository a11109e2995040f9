/**
 * Mixed precision: chooses formats and ranks for each linear so that a model stays within budgets at the least damage, and
 * writes the choice as a config. Damage is taken to add up over linears. The solver knows no models.
 */
@NullMarked
package dev.ptq.allocate;

import org.jspecify.annotations.NullMarked;
