package dev.ptq.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** A stage that counts its runs and writes its setting after those of its inputs. */
record TestStage(String name, int version, int setting, List<String> inputs, AtomicInteger runs, Body body)
        implements Stage {
    interface Body {
        void run(Path output) throws IOException;
    }

    private record Settings(int setting) {}

    static TestStage of(String name, String... inputs) {
        return new TestStage(name, 1, 0, List.of(inputs), new AtomicInteger(), output -> {});
    }

    TestStage withVersion(int newVersion) {
        return new TestStage(name, newVersion, setting, inputs, runs, body);
    }

    TestStage withSetting(int newSetting) {
        return new TestStage(name, version, newSetting, inputs, runs, body);
    }

    TestStage doing(Body newBody) {
        return new TestStage(name, version, setting, inputs, runs, newBody);
    }

    @Override
    public Record settings() {
        return new Settings(setting);
    }

    @Override
    public void run(Map<String, Path> inputDirectories, Path output, Path unfinished) throws IOException {
        runs.incrementAndGet();
        StringBuilder text = new StringBuilder();
        for (Path input : inputDirectories.values()) {
            text.append(Files.readString(input.resolve("sub/out.txt")));
        }
        Files.createDirectory(output.resolve("sub"));
        Files.writeString(output.resolve("sub/out.txt"), text + name + "=" + setting + ";");
        body.run(output);
    }
}
