package dev.ptq.tensor;

import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.JniUtils;
import dev.ptq.environment.CacheFolder;

/**
 * The start of the tensor engine: offline, without telemetry, natives unpacked into ptq's own cache folder. All of the
 * engine's settings, of the process and of its threads, are made here and nowhere else.
 *
 * <p>Everything that touches a tensor gets its manager, directly or not, from {@link #newManager()}, so the settings
 * below are in force before the engine loads.
 */
public final class TensorEngine {
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
        return manager;
    }

    /** Puts the settings in force for whatever else of the engine's family is used first, such as its tokenizers. */
    public static void prepare() {
        setUnlessGiven("ai.djl.offline", "true");
        setUnlessGiven("OPT_OUT_TRACKING", "true");
        setUnlessGiven("ai.djl.pytorch.num_threads", Integer.toString(Parallel.THREADS));
        setUnlessGiven("ai.djl.pytorch.num_interop_threads", "1");
        setUnlessGiven("DJL_CACHE_DIR", CacheFolder.path().toString());
    }

    /** Lets the engine use one of its threads for the calling thread, until the scope is closed there. */
    static Scope oneThread() {
        return new Scope(false);
    }

    /** The same, and no operator on the calling thread takes part in automatic differentiation. */
    static Scope oneThreadWithoutGradients() {
        return new Scope(true);
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
        // asked for first: the engine's first look at a new thread gives it the usual number
        private final int threads = JniUtils.getNumThreads();
        private final boolean gradients = JniUtils.isGradMode();

        private Scope(boolean withoutGradients) {
            JniUtils.setNumThreads(1);
            if (withoutGradients) {
                JniUtils.setGradMode(false);
            }
        }

        void close() {
            JniUtils.setNumThreads(threads);
            JniUtils.setGradMode(gradients);
        }
    }

    private static void setUnlessGiven(String property, String value) {
        if (System.getProperty(property) == null && System.getenv(property) == null) {
            System.setProperty(property, value);
        }
    }
}
