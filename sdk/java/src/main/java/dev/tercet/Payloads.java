package dev.tercet;

import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonMappingException;
import java.io.IOException;
import java.util.stream.Collectors;

/** What is told of a payload that cannot be read: where, and nothing of an exception's text. */
final class Payloads {
    private Payloads() {}

    static String fault(IOException error) {
        StringBuilder told = new StringBuilder("the payload cannot be read");
        if (error instanceof JsonMappingException mapping && !mapping.getPath().isEmpty()) {
            told.append(" at ").append(mapping.getPath().stream()
                    .map(step -> step.getFieldName() == null ? "[" + step.getIndex() + "]" : step.getFieldName())
                    .collect(Collectors.joining(".")));
        }
        if (error instanceof JsonProcessingException processing) {
            JsonLocation location = processing.getLocation();
            if (location != null && location.getLineNr() > 0) {
                told.append(" (line ").append(location.getLineNr());
                told.append(", column ").append(location.getColumnNr()).append(')');
            }
        }
        return told.toString();
    }
}
