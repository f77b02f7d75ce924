package dev.tercet;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A branch to be begun or registered: one participant's part in a transaction. Each method gives another one. */
public final class Branch {
    /** The fields in the words of the wire: strings, numbers, booleans, lists, maps, and {@link Raw} JSON. */
    private final Map<String, Object> fields;

    private Branch(Map<String, Object> fields) {
        this.fields = fields;
    }

    /** JSON that is sent as it is. */
    record Raw(String json) {}

    /**
     * A branch without legs.
     *
     * @param id unique in its transaction: 1 to 64 of {@code [A-Za-z0-9._:-]}
     * @return the branch
     */
    public static Branch of(String id) {
        return new Branch(Map.of()).with("id", Ids.checked("branch id", id, Ids.BRANCH_LENGTH));
    }

    /**
     * A branch with all three legs.
     *
     * @param id see {@link #of(String)}
     * @param endpoint see {@link #endpoint}
     * @param payload see {@link #payload}
     * @return the branch
     */
    public static Branch of(String id, String endpoint, Object payload) {
        return of(id).endpoint(endpoint).payload(payload);
    }

    /**
     * All three legs: {@code {url}/try}, {@code {url}/confirm} and {@code {url}/cancel}.
     *
     * @param url their beginning
     * @return the branch with it
     */
    public Branch endpoint(String url) {
        return with("endpoint", url);
    }

    /**
     * The URL of Try alone.
     *
     * @param url where it goes
     * @return the branch with it
     */
    public Branch tryUrl(String url) {
        return with("try", url);
    }

    /**
     * The URL of Confirm alone.
     *
     * @param url where it goes
     * @return the branch with it
     */
    public Branch confirmUrl(String url) {
        return with("confirm", url);
    }

    /**
     * The URL of Cancel alone.
     *
     * @param url where it goes
     * @return the branch with it
     */
    public Branch cancelUrl(String url) {
        return with("cancel", url);
    }

    /**
     * The body of each of its calls, the same to the byte for all of them; by default {@code {}}.
     *
     * @param payload what Jackson can write: a record, a map
     * @return the branch with it
     * @throws IllegalArgumentException it cannot be written as JSON
     */
    public Branch payload(Object payload) {
        return with("payload", new Raw(Json.write(Json.MAPPER, "payload", payload)));
    }

    /**
     * The same, written already.
     *
     * @param json one JSON value, which is sent as it is
     * @return the branch with it
     * @throws IllegalArgumentException it is no JSON
     */
    public Branch payloadJson(String json) {
        return with("payload", new Raw(Json.checked("payload", json)));
    }

    /**
     * A header of each of its calls. The coordinator treats its value as a secret.
     *
     * @param name its name
     * @param value its value
     * @return the branch with it
     */
    public Branch header(String name, String value) {
        Map<String, Object> headers = new LinkedHashMap<>();
        if (fields.get("headers") instanceof Map<?, ?> given) {
            given.forEach((of, is) -> headers.put((String) of, is));
        }
        headers.put(name, value);
        return with("headers", headers);
    }

    /**
     * How long one call may take: 10 ms to 10 min, by default 3 s.
     *
     * @param timeout whole milliseconds
     * @return the branch with it
     */
    public Branch timeout(Duration timeout) {
        return with("timeout_ms", timeout.toMillis());
    }

    /**
     * In a saga: the branches that come before it; with none it is called at once. By default it comes after the branch
     * before it.
     *
     * @param ids their ids
     * @return the branch with it
     */
    public Branch after(String... ids) {
        return with("after", List.of(ids));
    }

    /**
     * How often its Try may fail before the transaction is cancelled.
     *
     * @param attempts 0 to 1 000; 0: until the deadline
     * @return the branch with it
     */
    public Branch tryAttempts(int attempts) {
        return with("try_attempts", (long) attempts);
    }

    /**
     * A delayed message: its Confirm is not called before this long after the decision.
     *
     * @param delay at most 30 days
     * @return the branch with it
     */
    public Branch confirmAfter(Duration delay) {
        return with("confirm_after_ms", delay.toMillis());
    }

    /**
     * Its calls bring what the Tries before it were answered with, and in Confirm and Cancel its own: see
     * {@link Context#result}.
     *
     * @return the branch with results
     */
    public Branch results() {
        return with("results", true);
    }

    private Branch with(String field, Object value) {
        Map<String, Object> more = new LinkedHashMap<>(fields);
        more.put(field, value);
        return new Branch(more);
    }

    String id() {
        return (String) fields.get("id");
    }

    String tryUrl() {
        return (String) fields.get("try");
    }

    /** What a coordinator would refuse at any time; null where nothing is. */
    String fault() {
        boolean apart = fields.containsKey("try") || fields.containsKey("confirm") || fields.containsKey("cancel");
        if (fields.containsKey("endpoint")) {
            return apart ? "gives `endpoint`, and a leg beside it" : null;
        }
        return apart ? null : "a branch needs at least one URL: give `endpoint`, `try`, `confirm` or `cancel`";
    }

    /** The same branch with each leg named, as the coordinator reads an endpoint. */
    private Branch inLegs() {
        String endpoint = (String) fields.get("endpoint");
        if (endpoint == null) {
            return this;
        }
        String base = endpoint.endsWith("/") ? endpoint.substring(0, endpoint.length() - 1) : endpoint;
        Map<String, Object> legs = new LinkedHashMap<>(fields);
        legs.remove("endpoint");
        for (Op op : Op.values()) {
            legs.put(op.word(), base + "/" + op);
        }
        return new Branch(legs);
    }

    /** The same branch with its Try named, to be kept from the coordinator by {@link #withoutTry}. */
    Branch forOwnTry() {
        Branch legs = inLegs();
        if (!legs.fields.containsKey("confirm") && !legs.fields.containsKey("cancel")) {
            throw new IllegalArgumentException("a branch whose Try you call yourself needs a Confirm or a Cancel");
        }
        return legs;
    }

    Branch withoutTry() {
        Map<String, Object> rest = new LinkedHashMap<>(fields);
        rest.remove("try");
        rest.put("try_by", "initiator");
        return new Branch(rest);
    }

    /** The legs it has, where its Try is the initiator's. */
    Set<Op> legsWithTry() {
        Set<Op> legs = EnumSet.of(Op.TRY);
        for (Op op : List.of(Op.CONFIRM, Op.CANCEL)) {
            if (fields.containsKey(op.word())) {
                legs.add(op);
            }
        }
        return legs;
    }

    /** The payload of its calls, as the coordinator sends it. */
    String payloadText() {
        return fields.get("payload") instanceof Raw raw ? raw.json() : "{}";
    }

    void write(JsonGenerator json) throws IOException {
        writeFields(json, fields);
    }

    static void writeFields(JsonGenerator json, Map<String, Object> fields) throws IOException {
        json.writeStartObject();
        for (Map.Entry<String, Object> field : fields.entrySet()) {
            json.writeFieldName(field.getKey());
            writeValue(json, field.getValue());
        }
        json.writeEndObject();
    }

    private static void writeValue(JsonGenerator json, Object value) throws IOException {
        if (value instanceof Raw raw) {
            json.writeRawValue(raw.json());
        } else if (value instanceof Branch branch) {
            branch.write(json);
        } else if (value instanceof Map<?, ?> map) {
            Map<String, Object> fields = new LinkedHashMap<>();
            map.forEach((name, is) -> fields.put((String) name, is));
            writeFields(json, fields);
        } else if (value instanceof List<?> list) {
            json.writeStartArray();
            for (Object item : new ArrayList<>(list)) {
                writeValue(json, item);
            }
            json.writeEndArray();
        } else {
            json.writePOJO(value);
        }
    }

    /** Headers are secrets, and payloads nobody's business: the id alone. */
    @Override
    public String toString() {
        return "Branch[" + id() + "]";
    }
}
