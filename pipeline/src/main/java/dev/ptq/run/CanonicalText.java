package dev.ptq.run;

import dev.ptq.config.OmittedIfEmpty;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.RecordComponent;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Writes settings as one line of text; different settings give different texts.
 *
 * <p>Example: {@code IntegerFormat(bits=4, order=Order.NATURAL, layers=["q", "k"], clip=?(0.9), seed=?())}. Types are
 * named without their package, so moving a record to another package keeps its text.
 */
final class CanonicalText {
    private final StringBuilder text = new StringBuilder();

    private CanonicalText() {}

    /**
     * Returns the text of a record.
     *
     * @param path name of the record in error messages
     * @throws IllegalArgumentException if a component, however deep, is null or has a type without canonical text
     */
    static String of(Record value, String path) {
        CanonicalText canonical = new CanonicalText();
        canonical.append(value, path);
        return canonical.text.toString();
    }

    private void append(@Nullable Object value, String path) {
        if (value instanceof Record record) {
            appendRecord(record, path);
        } else if (value instanceof List<?> list) {
            appendList(list, path);
        } else if (value instanceof String string) {
            appendString(string);
        } else if (value instanceof Enum<?> constant) {
            text.append(typeName(constant.getDeclaringClass())).append('.').append(constant.name());
        } else if (value instanceof Optional<?> optional) {
            appendOptional(optional, path);
        } else if (value instanceof OptionalInt optional) {
            appendOptional(optional.isPresent() ? Optional.of(optional.getAsInt()) : Optional.empty(), path);
        } else if (value instanceof OptionalLong optional) {
            appendOptional(optional.isPresent() ? Optional.of(optional.getAsLong()) : Optional.empty(), path);
        } else if (value instanceof OptionalDouble optional) {
            appendOptional(optional.isPresent() ? Optional.of(optional.getAsDouble()) : Optional.empty(), path);
        } else if (value instanceof Float number) {
            text.append(number).append('f');
        } else if (value instanceof Boolean
                || value instanceof Byte
                || value instanceof Short
                || value instanceof Integer
                || value instanceof Long
                || value instanceof Double) {
            text.append(value);
        } else {
            throw new IllegalArgumentException(
                    path + ": expected a record, string, number, boolean, enum, list or" + " optional, got "
                            + (value == null ? "null" : value.getClass().getName()));
        }
    }

    private void appendRecord(Record record, String path) {
        text.append(typeName(record.getClass())).append('(');
        String separator = "";
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            Object value = read(component, record);
            if (component.isAnnotationPresent(OmittedIfEmpty.class) && isEmpty(value)) {
                continue;
            }
            text.append(separator).append(component.getName()).append('=');
            append(value, path + "." + component.getName());
            separator = ", ";
        }
        text.append(')');
    }

    private static boolean isEmpty(@Nullable Object value) {
        return value instanceof List<?> list
                ? list.isEmpty()
                : value instanceof Optional<?> optional && optional.isEmpty();
    }

    private void appendList(List<?> list, String path) {
        text.append('[');
        for (int i = 0; i < list.size(); i++) {
            text.append(i == 0 ? "" : ", ");
            append(list.get(i), path + "[" + i + "]");
        }
        text.append(']');
    }

    private void appendOptional(Optional<?> optional, String path) {
        text.append("?(");
        optional.ifPresent(value -> append(value, path));
        text.append(')');
    }

    /** Leaves printable ASCII only, so that no encoding can make two strings equal. */
    private void appendString(String string) {
        text.append('"');
        for (int i = 0; i < string.length(); i++) {
            char c = string.charAt(i);
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c >= ' ' && c <= '~') {
                text.append(c);
            } else {
                text.append("\\u").append(Integer.toHexString(0x10000 | c), 1, 5);
            }
        }
        text.append('"');
    }

    private static String typeName(Class<?> type) {
        String name = type.getName();
        return name.substring(name.lastIndexOf('.') + 1).replace('$', '.');
    }

    private static @Nullable Object read(RecordComponent component, Record record) {
        try {
            component.getAccessor().setAccessible(true); // records of settings need not be public
            return component.getAccessor().invoke(record);
        } catch (IllegalAccessException | InvocationTargetException e) {
            throw new IllegalStateException("cannot read " + component, e);
        }
    }
}
