package dev.ptq.parquet;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.io.api.Converter;
import org.apache.parquet.io.api.GroupConverter;
import org.apache.parquet.io.api.PrimitiveConverter;
import org.apache.parquet.io.api.RecordMaterializer;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.DecimalLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.IntLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.ListLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.StringLogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Builds an object from each record. */
final class RowBuilder extends RecordMaterializer<ObjectNode> {
    private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

    private final Budget budget;
    private final Struct root;
    private ObjectNode row = NODES.objectNode();

    RowBuilder(MessageType schema, Budget budget) {
        this.budget = budget;
        root = new Struct(schema, node -> row = (ObjectNode) node);
    }

    @Override
    public ObjectNode getCurrentRecord() {
        return row;
    }

    @Override
    public GroupConverter getRootConverter() {
        return root;
    }

    /** Makes a converter that passes each value of a type to {@code parent}. */
    private Converter converter(Type type, Consumer<JsonNode> parent) {
        if (type.isPrimitive()) {
            return new Value(type, parent);
        }
        GroupType group = type.asGroupType();
        boolean list = type.getLogicalTypeAnnotation() instanceof ListLogicalTypeAnnotation
                && group.getFieldCount() == 1
                && group.getType(0).isRepetition(Type.Repetition.REPEATED);
        return list ? new Items(group, parent) : new Struct(group, parent);
    }

    /** A group of fields; an absent one is null, or empty if it is repeated. */
    private final class Struct extends GroupConverter {
        private final Consumer<JsonNode> parent;
        private final List<String> names = new ArrayList<>();
        private final List<Converter> converters = new ArrayList<>();
        private final boolean[] repeated;
        private final @Nullable JsonNode[] values;

        Struct(GroupType type, Consumer<JsonNode> parent) {
            this.parent = parent;
            values = new JsonNode[type.getFieldCount()];
            repeated = new boolean[values.length];
            for (int i = 0; i < values.length; i++) {
                int field = i;
                names.add(type.getFieldName(i));
                repeated[i] = type.getType(i).isRepetition(Type.Repetition.REPEATED);
                converters.add(converter(type.getType(i), value -> set(field, value)));
            }
        }

        private void set(int field, JsonNode value) {
            if (values[field] instanceof ArrayNode array && repeated[field]) {
                array.add(value);
            } else {
                values[field] = value;
            }
        }

        @Override
        public Converter getConverter(int field) {
            return converters.get(field);
        }

        @Override
        public void start() {
            budget.charge((1L + values.length) * Budget.NODE);
            for (int i = 0; i < values.length; i++) {
                values[i] = repeated[i] ? NODES.arrayNode() : null;
            }
        }

        @Override
        public void end() {
            ObjectNode node = NODES.objectNode();
            for (int i = 0; i < values.length; i++) {
                JsonNode value = values[i];
                node.set(names.get(i), value == null ? NODES.nullNode() : value);
            }
            parent.accept(node);
        }
    }

    /**
     * A list: a repeated group around each element, which may be null; in old files the repeated elements themselves.
     */
    private final class Items extends GroupConverter {
        private final Consumer<JsonNode> parent;
        private final Converter repeated;
        private ArrayNode items = NODES.arrayNode();

        Items(GroupType type, Consumer<JsonNode> parent) {
            this.parent = parent;
            Type inner = type.getType(0);
            boolean wrapped = !inner.isPrimitive()
                    && inner.asGroupType().getFieldCount() == 1
                    && !inner.getName().equals("array")
                    && !inner.getName().equals(type.getName() + "_tuple");
            repeated =
                    wrapped ? new Element(inner.asGroupType().getType(0)) : converter(inner, item -> items.add(item));
        }

        @Override
        public Converter getConverter(int field) {
            return repeated;
        }

        @Override
        public void start() {
            budget.charge(Budget.NODE);
            items = NODES.arrayNode();
        }

        @Override
        public void end() {
            parent.accept(items);
        }

        private final class Element extends GroupConverter {
            private final Converter converter;
            private JsonNode value = NODES.nullNode();

            Element(Type type) {
                converter = converter(type, found -> value = found);
            }

            @Override
            public Converter getConverter(int field) {
                return converter;
            }

            @Override
            public void start() {
                budget.charge(Budget.NODE);
                value = NODES.nullNode();
            }

            @Override
            public void end() {
                items.add(value);
            }
        }
    }

    /** A value without parts. */
    private final class Value extends PrimitiveConverter {
        private final Consumer<JsonNode> parent;
        private final @Nullable LogicalTypeAnnotation meaning;
        private final boolean unsigned;

        Value(Type type, Consumer<JsonNode> parent) {
            this.parent = parent;
            this.meaning = type.getLogicalTypeAnnotation();
            this.unsigned = meaning instanceof IntLogicalTypeAnnotation number && !number.isSigned();
        }

        @Override
        public void addBinary(Binary value) {
            budget.charge(Budget.NODE + (long) value.length());
            if (meaning instanceof DecimalLogicalTypeAnnotation decimal) {
                parent.accept(number(new BigInteger(value.getBytes()), decimal));
            } else {
                parent.accept(
                        meaning instanceof StringLogicalTypeAnnotation
                                ? NODES.stringNode(value.toStringUsingUTF8())
                                : NODES.binaryNode(value.getBytes()));
            }
        }

        @Override
        public void addBoolean(boolean value) {
            parent.accept(NODES.booleanNode(value));
        }

        @Override
        public void addInt(int value) {
            if (meaning instanceof DecimalLogicalTypeAnnotation decimal) {
                parent.accept(number(BigInteger.valueOf(value), decimal));
            } else {
                parent.accept(unsigned ? NODES.numberNode(Integer.toUnsignedLong(value)) : NODES.numberNode(value));
            }
        }

        @Override
        public void addLong(long value) {
            if (meaning instanceof DecimalLogicalTypeAnnotation decimal) {
                parent.accept(number(BigInteger.valueOf(value), decimal));
            } else if (unsigned && value < 0) {
                parent.accept(NODES.numberNode(new BigInteger(Long.toUnsignedString(value))));
            } else {
                parent.accept(NODES.numberNode(value));
            }
        }

        @Override
        public void addFloat(float value) {
            parent.accept(NODES.numberNode(value));
        }

        @Override
        public void addDouble(double value) {
            parent.accept(NODES.numberNode(value));
        }

        private static JsonNode number(BigInteger unscaled, DecimalLogicalTypeAnnotation decimal) {
            return NODES.numberNode(new BigDecimal(unscaled, decimal.getScale()));
        }
    }
}
