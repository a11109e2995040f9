package dev.ptq.tensor;

import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.JniUtils;
import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;
import dev.ptq.environment.CacheFolder;
import java.util.Optional;

/**
 * The start of the tensor engine: offline, without telemetry, natives unpacked into ptq's own cache folder. All of the
 * engine's settings, of the process and of its threads, are made here and nowhere else.
 *
 * <p>The engine has one thread for whoever calls it. It splits products, decompositions and sums by the number of its
 * threads, and by the processor, so results would differ in their last bits between machines and between numbers of
 * threads. {@link Parallel} keeps the processors busy instead, with pieces that depend on the data alone.
 *
 * <p>Everything that touches a tensor gets its manager, directly or not, from {@link #newManager()}, so the settings
 * below are in force before the engine loads.
 */
public final class TensorEngine {
    // glibc's; Java has no way to it
    private static final Optional<Function> TRIM = trim();

    private static boolean started;

    private TensorEngine() {}

    /** Returns a new manager of native memory; the caller closes it. */
    public static synchronized NDManager newManager() {
        prepare();
        NDManager manager = NDManager.newBaseManager();
        if (!started) {
            started = true;
            JniUtils.setGradMode(false);
        }
        // a thread that the engine has not seen yet would get as many as there are processors
        JniUtils.setNumThreads(1);
        return manager;
    }

    /** Puts the settings in force for whatever else of the engine's family is used first, such as its tokenizers. */
    public static void prepare() {
        setUnlessGiven("ai.djl.offline", "true");
        setUnlessGiven("OPT_OUT_TRACKING", "true");
        setUnlessGiven("ai.djl.pytorch.num_threads", "1");
        setUnlessGiven("ai.djl.pytorch.num_interop_threads", "1");
        setUnlessGiven("DJL_CACHE_DIR", CacheFolder.path().toString());
    }

    /**
     * Gives memory that tensors have left back to the system: the allocator would keep the gaps between those that are
     * alive, and after many blocks these outgrow what a block needs. Takes a while, as the next tensors then get fresh
     * pages. Only the GNU allocator needs it, and without that nothing is done.
     */
    public static void returnFreedMemory() {
        TRIM.ifPresent(trim -> trim.invokeInt(new Object[] {0L}));
    }

    private static Optional<Function> trim() {
        try {
            return Optional.of(NativeLibrary.getInstance("c").getFunction("malloc_trim"));
        } catch (UnsatisfiedLinkError e) {
            return Optional.empty();
        }
    }

    /** Prepares the calling thread for a piece of work: none of its operators takes part in automatic differentiation. */
    static Scope withoutGradients() {
        return new Scope(1, false);
    }

    /** Lets the engine use so many threads for the calling thread, however many processors there are. */
    static Scope withThreads(int threads) {
        return new Scope(threads, JniUtils.isGradMode());
    }

    /**
     * Has the engine run functions on the calling thread as they are written: left to itself it rewrites a function after
     * its first call, and gradients change in their last bits.
     */
    static void runAsWritten() {
        JniUtils.setGraphExecutorOptimize(false);
    }

    /** Settings of the calling thread that hold until they are set back. */
    static final class Scope {
        private final int threadsBefore = JniUtils.getNumThreads();
        private final boolean gradientsBefore = JniUtils.isGradMode();

        private Scope(int threads, boolean gradients) {
            JniUtils.setNumThreads(threads);
            JniUtils.setGradMode(gradients);
        }

        void close() {
            JniUtils.setNumThreads(threadsBefore);
            JniUtils.setGradMode(gradientsBefore);
        }
    }

    private static void setUnlessGiven(String property, String value) {
        if (System.getProperty(property) == null && System.getenv(property) == null) {
            System.setProperty(property, value);
        }
    }
}
