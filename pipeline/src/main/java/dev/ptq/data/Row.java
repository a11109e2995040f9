package dev.ptq.data;

import tools.jackson.databind.node.ObjectNode;

/**
 * A row of a data set.
 *
 * @param fields in the order of the file
 * @param place the file and the line or row, for messages
 */
public record Row(ObjectNode fields, String place) {}
