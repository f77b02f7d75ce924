package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** The vectors that every library runs, and where the repository lies. */
final class Vectors {
    private Vectors() {}

    /** The root of the repository, above wherever this runs. */
    static Path root() {
        Path place = Path.of("").toAbsolutePath();
        while (!Files.exists(place.resolve("sdk/vectors/guard.json"))) {
            place = place.getParent();
            if (place == null) {
                throw new IllegalStateException("run it in the repository: sdk/vectors is not above here");
            }
        }
        return place;
    }

    static Stream<JsonNode> cases(String name) throws IOException {
        JsonNode read = Json.MAPPER.readTree(root().resolve("sdk/vectors/" + name + ".json").toFile());
        List<JsonNode> cases = new ArrayList<>();
        read.get("cases").forEach(cases::add);
        if (cases.isEmpty()) {
            throw new IllegalStateException(name + " has no cases");
        }
        return cases.stream();
    }

    static Headers headers(JsonNode fields) {
        return name -> fields.has(name) ? List.of(fields.get(name).asText()) : List.of();
    }
}
