package dev.tercet;

import java.util.LinkedHashMap;
import java.util.Map;

/** A run of a saga that the coordinator has a definition of. Each method gives another one. */
public final class SagaRun {
    private final String name;
    private final Map<String, Object> fields;
    private final String traceparent;

    private SagaRun(String name, Map<String, Object> fields, String traceparent) {
        this.name = name;
        this.fields = fields;
        this.traceparent = traceparent;
    }

    /**
     * A run of the newest version, under a gid of its own.
     *
     * @param name the definition's
     * @return the run
     */
    public static SagaRun of(String name) {
        return new SagaRun(Ids.checked("name", name, Ids.BRANCH_LENGTH), Map.of("gid", Ids.freshGid()), null);
    }

    /**
     * What it is about: the payload of each of its steps. It must fit the definition's schema. By default {@code {}}.
     *
     * @param input what Jackson can write
     * @return the run with it
     */
    public SagaRun input(Object input) {
        return with("input", new Branch.Raw(Json.write(Json.MAPPER, "input", input)));
    }

    /**
     * Its gid, as of any transaction: take one that belongs to the business deed.
     *
     * @param gid see {@link Transaction#of(String)}
     * @return the run with it
     */
    public SagaRun gid(String gid) {
        return with("gid", Ids.checked("gid", gid, Ids.GID_LENGTH));
    }

    /**
     * Which version of the definition. By default the newest; of a repeat that which its gid runs with.
     *
     * @param number 1, 2, …
     * @return the run with it
     */
    public SagaRun version(int number) {
        return with("version", (long) number);
    }

    /**
     * Your own data, shown with the transaction: an object, at most 4 KiB.
     *
     * @param metadata what Jackson can write
     * @return the run with it
     */
    public SagaRun metadata(Object metadata) {
        return with("metadata", new Branch.Raw(Json.write(Json.MAPPER, "metadata", metadata)));
    }

    /**
     * The W3C trace context that the run continues.
     *
     * @param header as it came; null: none
     * @return the run with it
     */
    public SagaRun traceparent(String header) {
        return new SagaRun(name, fields, header);
    }

    /**
     * Its gid.
     *
     * @return as given, or made
     */
    public String gid() {
        return (String) fields.get("gid");
    }

    String name() {
        return name;
    }

    String traceparent() {
        return traceparent;
    }

    String body() {
        return Transaction.written(json -> Branch.writeFields(json, fields));
    }

    private SagaRun with(String field, Object value) {
        Map<String, Object> more = new LinkedHashMap<>(fields);
        more.put(field, value);
        return new SagaRun(name, more, traceparent);
    }
}
