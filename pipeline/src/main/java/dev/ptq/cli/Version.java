package dev.ptq.cli;

import java.io.IOException;
import java.io.InputStream;
import java.util.Properties;
import picocli.CommandLine.IVersionProvider;

/** The program's version and the commit it was built from, as the build noted them. */
final class Version implements IVersionProvider {
    private static final String RESOURCE = "/dev/ptq/version.properties";

    @Override
    public String[] getVersion() {
        return new String[] {"ptq " + version() + " (" + commit() + ")"};
    }

    static String version() {
        return property("version");
    }

    /** Empty where the source was no checkout. */
    static String commit() {
        String given = System.getenv("PTQ_COMMIT");
        return given == null ? "" : given;
    }

    private static String property(String key) {
        Properties properties = new Properties();
        try (InputStream in = Version.class.getResourceAsStream(RESOURCE)) {
            if (in != null) {
                properties.load(in);
            }
        } catch (IOException e) {
            throw new IllegalStateException(RESOURCE, e);
        }
        return properties.getProperty(key, "unknown");
    }
}
