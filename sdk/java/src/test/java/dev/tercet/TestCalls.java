package dev.tercet;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Calls an endpoint as a coordinator does. */
final class TestCalls {
    static final String INSTANCE = "0193b6a0-0000-7000-8000-000000000001";
    static final String OTHER = "0193b6a0-0000-7000-8000-000000000002";

    private TestCalls() {}

    static Map<String, String> headers(String op, String gid) {
        Map<String, String> headers = new HashMap<>();
        headers.put("tercet-gid", gid);
        headers.put("tercet-branch", "b");
        headers.put("tercet-instance", INSTANCE);
        headers.put("tercet-op", op);
        headers.put("tercet-legs", "try,confirm,cancel");
        return headers;
    }

    static Answer call(Endpoint endpoint, String op, String gid, String payload) {
        return call(endpoint, op, headers(op, gid), payload);
    }

    static Answer call(Endpoint endpoint, String op, Map<String, String> headers, String payload) {
        Headers read = name -> headers.containsKey(name) ? List.of(headers.get(name)) : List.of();
        try {
            return endpoint.serve(
                    "POST", op, null, read, new ByteArrayInputStream(payload.getBytes(StandardCharsets.UTF_8)));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** Calls until it is neither in progress nor to be called again. */
    static Answer settle(Endpoint endpoint, String op, Map<String, String> headers, String payload) {
        Answer answer = call(endpoint, op, headers, payload);
        while (answer.status() == 202 || answer.status() == 503) {
            answer = call(endpoint, op, headers, payload);
        }
        return answer;
    }

    static String text(Answer answer) {
        return new String(answer.body(), StandardCharsets.UTF_8);
    }

    static JsonNode json(Answer answer) {
        return Json.read(text(answer));
    }
}
