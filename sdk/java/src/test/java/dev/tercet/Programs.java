package dev.tercet;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Programs of the repository, from {@code BIN_DIR}. */
final class Programs {
    private static final Pattern LISTENS = Pattern.compile("listen=\"?(http://[0-9.:]+)");

    private Programs() {}

    static Path program(String name) {
        String given = System.getenv("BIN_DIR");
        Path folder = given == null ? Vectors.root().resolve("target/debug") : Path.of(given);
        Path program = folder.resolve(name);
        if (!Files.isExecutable(program)) {
            throw new IllegalStateException("BIN_DIR: " + program + " is missing");
        }
        return program;
    }

    /** Runs a program to its end; what it printed, with its exit code in front. */
    static String run(Path... command) throws IOException, InterruptedException {
        return run(List.of(command).stream().map(Path::toString).toList());
    }

    static String run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return process.waitFor() + "\n" + printed;
    }

    /** A coordinator on a database of its own, which may be killed and begun again. */
    static final class Coordinator implements AutoCloseable {
        private final Path folder;
        private String listen = "127.0.0.1:0";
        private Process process;
        private String url;

        Coordinator() throws IOException {
            folder = Files.createTempDirectory("tercet-sdk-java");
            start();
        }

        void start() throws IOException {
            List<String> command = new ArrayList<>(List.of(program("tercet").toString(), "serve"));
            command.addAll(List.of("--listen", listen, "--database-url", "sqlite://" + folder.resolve("tercet.db")));
            Path log = folder.resolve("log");
            process = new ProcessBuilder(command)
                    .redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()))
                    .start();
            process.getOutputStream().close();
            BufferedReader lines =
                    new BufferedReader(new InputStreamReader(process.getErrorStream(), StandardCharsets.UTF_8));
            StringBuilder said = new StringBuilder();
            String line = lines.readLine();
            while (line != null && url(line) == null) {
                said.append(line).append('\n');
                line = lines.readLine();
            }
            if (line == null) {
                throw new IllegalStateException("tercet did not start:\n" + said);
            }
            url = url(line);
            listen = url.substring("http://".length());
            Thread drain = new Thread(() -> {
                try {
                    while (lines.readLine() != null) {
                        // What it logs from here on is nobody's concern.
                        continue;
                    }
                } catch (IOException error) {
                    // It was killed.
                    return;
                }
            });
            drain.setDaemon(true);
            drain.start();
        }

        private static String url(String line) {
            Matcher found = LISTENS.matcher(line);
            return line.contains("ready") && found.find() ? found.group(1) : null;
        }

        String url() {
            return url;
        }

        /** As {@code kill -9} does; it returns once the process is gone. */
        void kill() {
            process.destroyForcibly().onExit().join();
        }

        @Override
        public void close() throws IOException {
            process.destroy();
            process.onExit().completeOnTimeout(process, 20, TimeUnit.SECONDS).join();
            kill();
            try (var files = Files.walk(folder)) {
                for (Path file : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.deleteIfExists(file);
                }
            }
        }
    }
}
