package dev.ptq.parquet;

import static dev.ptq.parquet.ParquetFile.require;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.parquet.format.LogicalType;
import org.apache.parquet.format.SchemaElement;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.apache.parquet.schema.Types;

/** The schema of a file: a tree, stored as a list in which each element is followed by its children. */
final class Schema {
    private static final int DEEPEST = 64;
    private static final int WIDEST_DECIMAL = 1000;

    private final List<SchemaElement> elements;
    private int at;

    private Schema(List<SchemaElement> elements) {
        this.elements = elements;
    }

    static MessageType of(List<SchemaElement> elements) {
        require(elements != null && !elements.isEmpty(), "it has no schema");
        Schema schema = new Schema(elements);
        SchemaElement root = schema.next();
        List<Type> fields = schema.children(root, 0);
        require(schema.at == elements.size(), "its schema has elements that belong nowhere");
        return new MessageType(root.getName(), fields);
    }

    private SchemaElement next() {
        require(at < elements.size(), "its schema ends too early");
        return elements.get(at++);
    }

    private List<Type> children(SchemaElement parent, int depth) {
        require(depth < DEEPEST, "its schema has more than " + DEEPEST + " levels");
        List<Type> children = new ArrayList<>();
        for (int i = 0; i < parent.getNum_children(); i++) {
            children.add(type(next(), depth + 1));
        }
        return children;
    }

    private Type type(SchemaElement element, int depth) {
        require(element.isSetRepetition_type(), "field " + element.getName() + " has no repetition type");
        Type.Repetition repetition =
                Type.Repetition.valueOf(element.getRepetition_type().name());
        Optional<LogicalTypeAnnotation> meaning = meaning(element);
        if (element.isSetType()) {
            var builder =
                    Types.primitive(primitive(element.getType()), repetition).length(element.getType_length());
            return meaning.map(builder::as).orElse(builder).named(element.getName());
        }
        var builder = Types.buildGroup(repetition);
        children(element, depth).forEach(builder::addField);
        return meaning.map(builder::as).orElse(builder).named(element.getName());
    }

    static PrimitiveTypeName primitive(org.apache.parquet.format.Type type) {
        return switch (type) {
            case BOOLEAN -> PrimitiveTypeName.BOOLEAN;
            case INT32 -> PrimitiveTypeName.INT32;
            case INT64 -> PrimitiveTypeName.INT64;
            case INT96 -> PrimitiveTypeName.INT96;
            case FLOAT -> PrimitiveTypeName.FLOAT;
            case DOUBLE -> PrimitiveTypeName.DOUBLE;
            case BYTE_ARRAY -> PrimitiveTypeName.BINARY;
            case FIXED_LEN_BYTE_ARRAY -> PrimitiveTypeName.FIXED_LEN_BYTE_ARRAY;
        };
    }

    /** The logical type of values, as far as {@link RowBuilder} uses it. Old files store it in another field. */
    private static Optional<LogicalTypeAnnotation> meaning(SchemaElement element) {
        if (element.isSetLogicalType()) {
            LogicalType type = element.getLogicalType();
            if (type.isSetDECIMAL()) {
                return decimal(type.getDECIMAL().getScale(), type.getDECIMAL().getPrecision());
            }
            if (type.isSetINTEGER() && !type.getINTEGER().isIsSigned()) {
                return Optional.of(
                        LogicalTypeAnnotation.intType(type.getINTEGER().getBitWidth(), false));
            }
            boolean text = type.isSetSTRING() || type.isSetENUM() || type.isSetJSON();
            return text
                    ? Optional.of(LogicalTypeAnnotation.stringType())
                    : type.isSetLIST() || type.isSetMAP()
                            ? Optional.of(LogicalTypeAnnotation.listType())
                            : Optional.empty();
        }
        if (!element.isSetConverted_type()) {
            return Optional.empty();
        }
        return switch (element.getConverted_type()) {
            case UTF8, ENUM, JSON -> Optional.of(LogicalTypeAnnotation.stringType());
            case LIST, MAP -> Optional.of(LogicalTypeAnnotation.listType());
            case DECIMAL -> decimal(element.getScale(), element.getPrecision());
            case UINT_8 -> Optional.of(LogicalTypeAnnotation.intType(8, false));
            case UINT_16 -> Optional.of(LogicalTypeAnnotation.intType(16, false));
            case UINT_32 -> Optional.of(LogicalTypeAnnotation.intType(32, false));
            case UINT_64 -> Optional.of(LogicalTypeAnnotation.intType(64, false));
            default -> Optional.empty();
        };
    }

    private static Optional<LogicalTypeAnnotation> decimal(int scale, int precision) {
        require(precision <= WIDEST_DECIMAL, "a decimal cannot have " + precision + " digits");
        return Optional.of(LogicalTypeAnnotation.decimalType(scale, precision));
    }
}
