package dev.ptq.weights;

import java.io.IOException;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import org.jspecify.annotations.Nullable;

/**
 * A part of a file mapped into memory, unmapped when closed: left to the garbage collector, the pages of a whole
 * checkpoint would stay resident.
 */
final class MappedBytes implements AutoCloseable {
    /** {@code Unsafe.invokeCleaner}, the only way to unmap on Java 17; null where it is closed to us. */
    private static final @Nullable MethodHandle CLEANER = cleaner();

    private final MappedByteBuffer buffer;

    MappedBytes(FileChannel channel, long offset, long length) throws IOException {
        buffer = channel.map(FileChannel.MapMode.READ_ONLY, offset, length);
    }

    ByteBuffer littleEndian() {
        return buffer.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    }

    @Override
    public void close() {
        if (CLEANER != null && buffer.capacity() > 0) {
            try {
                CLEANER.invokeExact((ByteBuffer) buffer);
            } catch (Throwable e) {
                throw new IllegalStateException("a mapped file part could not be released", e);
            }
        }
    }

    private static @Nullable MethodHandle cleaner() {
        try {
            Class<?> unsafe = Class.forName("sun.misc.Unsafe");
            Field instance = unsafe.getDeclaredField("theUnsafe");
            instance.setAccessible(true);
            return MethodHandles.lookup()
                    .findVirtual(unsafe, "invokeCleaner", MethodType.methodType(void.class, ByteBuffer.class))
                    .bindTo(instance.get(null));
        } catch (ReflectiveOperationException | RuntimeException e) {
            return null;
        }
    }
}
