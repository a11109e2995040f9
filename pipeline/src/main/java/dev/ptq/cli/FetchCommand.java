package dev.ptq.cli;

import dev.ptq.config.ConfigException;
import dev.ptq.data.DatasetFolder;
import dev.ptq.hub.Hub;
import dev.ptq.hub.HubRepo;
import dev.ptq.hub.HubSnapshot;
import dev.ptq.weights.ModelFolder;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code ptq fetch NAME}. */
@Command(
        name = "fetch",
        mixinStandardHelpOptions = true,
        description = "Fetches a model or a data set of the Hugging Face hub into its cache, in its newest state, and"
                + " prints the folder. HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_CACHE are obeyed.")
final class FetchCommand implements Callable<Integer> {
    @Spec
    CommandSpec spec;

    @Parameters(paramLabel = "NAME", description = "owner/name, or owner/name@revision")
    String name;

    @Option(names = "--file", paramLabel = "FILE", description = "of a model: which of several GGUF files")
    @Nullable
    String file;

    @Option(names = "--dataset", description = "it is a data set")
    boolean dataset;

    @Option(names = "--config", paramLabel = "CONFIG", description = "which of several data sets it holds")
    @Nullable
    String config;

    @Option(names = "--split", paramLabel = "SPLIT", description = "which part of the data set; may be repeated")
    List<String> splits = new ArrayList<>();

    @Override
    public Integer call() throws IOException {
        HubRepo repo = HubRepo.parse(dataset ? HubRepo.Kind.DATASET : HubRepo.Kind.MODEL, name)
                .orElseThrow(() ->
                        new ConfigException("NAME: expected owner/name or owner/name@revision, got \"" + name + "\""));
        if (!dataset && (config != null || !splits.isEmpty())) {
            throw new ConfigException("--config and --split are for data sets; add --dataset");
        }
        if (dataset && file != null) {
            throw new ConfigException("--file is for models");
        }
        if (dataset && splits.isEmpty()) {
            throw new ConfigException("--split: expected the part of the data set that is wanted, such as test");
        }
        Hub hub = OnlineOption.open();
        HubSnapshot snapshot = dataset ? split(repo, hub) : ModelFolder.fetch(repo, file == null ? "" : file, hub);
        PrintWriter out = spec.commandLine().getOut();
        out.println(snapshot.folder());
        out.flush();
        return 0;
    }

    private HubSnapshot split(HubRepo repo, Hub hub) throws IOException {
        Optional<HubSnapshot> last = Optional.empty();
        for (String split : splits) {
            last = Optional.of(DatasetFolder.fetch(repo, Optional.ofNullable(config), split, hub));
        }
        return last.orElseThrow();
    }
}
