package dev.ptq.tensor;

import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.jni.JniUtils;
import java.nio.file.Path;

/**
 * The start of the tensor engine: offline, without telemetry, natives unpacked into ptq's own cache folder.
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
        setUnlessGiven("DJL_CACHE_DIR", cacheFolder().toString());
    }

    /** The folder for files that can be made again at any time: {@code PTQ_CACHE}, or {@code ~/.cache/ptq}. */
    public static Path cacheFolder() {
        String given = System.getenv("PTQ_CACHE");
        return given != null ? Path.of(given) : Path.of(System.getProperty("user.home"), ".cache", "ptq");
    }

    private static void setUnlessGiven(String property, String value) {
        if (System.getProperty(property) == null && System.getenv(property) == null) {
            System.setProperty(property, value);
        }
    }
}
