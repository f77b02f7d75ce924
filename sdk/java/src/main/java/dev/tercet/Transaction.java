package dev.tercet;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A transaction to be begun. Each method gives another one. */
public final class Transaction {
    private final Map<String, Object> fields;
    private final List<Branch> branches;
    private final String traceparent;

    private Transaction(Map<String, Object> fields, List<Branch> branches, String traceparent) {
        this.fields = fields;
        this.branches = branches;
        this.traceparent = traceparent;
    }

    /**
     * A transaction without branches, under a gid of its own, a UUID.
     *
     * @return the transaction
     */
    public static Transaction of() {
        return of(Ids.freshGid());
    }

    /**
     * A transaction without branches. Take a gid that belongs to the business deed ({@code order-1001}), and a repeat of the
     * deed is the same transaction even after this process has died.
     *
     * @param gid 1 to 128 of {@code [A-Za-z0-9._:-]}, beginning with a letter or digit
     * @return the transaction
     * @throws IllegalArgumentException it is none
     */
    public static Transaction of(String gid) {
        Ids.checked("gid", gid, Ids.GID_LENGTH);
        return new Transaction(Map.of("gid", gid), List.of(), null);
    }

    /**
     * Adds a branch.
     *
     * @param branch a participant's part
     * @return the transaction with it
     */
    public Transaction branch(Branch branch) {
        List<Branch> more = new ArrayList<>(branches);
        more.add(branch);
        return new Transaction(fields, List.copyOf(more), traceparent);
    }

    /**
     * Makes it a saga: its branches are steps, each tried once those before it are, and cancelled once those after it are.
     *
     * @return the saga
     */
    public Transaction saga() {
        return with("pattern", "saga");
    }

    /**
     * For an {@linkplain Client#open open} transaction: who is asked at its deadline what became of it, instead of its being
     * cancelled. {@link Checked} answers.
     *
     * @param url where the question goes
     * @return the transaction with it
     */
    public Transaction check(String url) {
        return with("check", url);
    }

    /**
     * How long it may stay undecided: 100 ms to 24 h, by default 30 s; a saga to 30 days, by default an hour; with a check
     * to 30 days.
     *
     * @param timeout whole milliseconds
     * @return the transaction with it
     */
    public Transaction timeout(Duration timeout) {
        return with("timeout_ms", timeout.toMillis());
    }

    /**
     * Your own data, shown with the transaction: an object, at most 4 KiB.
     *
     * @param metadata what Jackson can write: a record, a map
     * @return the transaction with it
     * @throws IllegalArgumentException it is no object
     */
    public Transaction metadata(Object metadata) {
        String json = Json.write(Json.MAPPER, "metadata", metadata);
        if (!json.startsWith("{")) {
            throw new IllegalArgumentException("metadata must be an object");
        }
        return with("metadata", new Branch.Raw(json));
    }

    /**
     * The W3C trace context that the transaction continues: every participant is called within this trace. In a participant
     * that begins a transaction of its own, that of the {@link Context}.
     *
     * @param header as it came; null: none
     * @return the transaction with it
     */
    public Transaction traceparent(String header) {
        if (header != null && !header.chars().allMatch(c -> c >= ' ' && c <= '~')) {
            throw new IllegalArgumentException("traceparent must be printable ASCII");
        }
        return new Transaction(fields, branches, header);
    }

    /**
     * Its gid.
     *
     * @return as given, or made
     */
    public String gid() {
        return (String) fields.get("gid");
    }

    private Transaction with(String field, Object value) {
        Map<String, Object> more = new LinkedHashMap<>(fields);
        more.put(field, value);
        return new Transaction(more, branches, traceparent);
    }

    List<Branch> branches() {
        return branches;
    }

    String traceparent() {
        return traceparent;
    }

    boolean hasCheck() {
        return fields.containsKey("check");
    }

    /** What is sent, written once: repeats are the same to the byte. */
    String body(boolean open) {
        Map<String, Object> sent = new LinkedHashMap<>(fields);
        if (open) {
            sent.put("open", true);
        }
        if (!branches.isEmpty()) {
            sent.put("branches", branches);
        }
        return written(json -> Branch.writeFields(json, sent));
    }

    /** Writes JSON. */
    @FunctionalInterface
    interface Writing {
        void write(JsonGenerator json) throws IOException;
    }

    static String written(Writing writing) {
        StringWriter text = new StringWriter();
        try (JsonGenerator json = Json.MAPPER.createGenerator(text)) {
            writing.write(json);
        } catch (IOException error) {
            throw new IllegalArgumentException("it cannot be written as JSON", error);
        }
        return text.toString();
    }

    @Override
    public String toString() {
        return "Transaction[" + gid() + "]";
    }
}
