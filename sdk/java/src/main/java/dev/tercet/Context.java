package dev.tercet;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** What business code and the guard know of the call they answer. */
public final class Context {
    /** The most that a Try may be answered with, in bytes. */
    static final int RESULT_BYTES = 16 * 1024;

    private final Call call;
    private final ObjectMapper mapper;
    private final boolean empty;
    private String answer;

    Context(Call call, ObjectMapper mapper, boolean empty) {
        this.call = call;
        this.mapper = mapper;
        this.empty = empty;
    }

    /** What a call says of itself. Its payload is kept to the byte. */
    record Call(
            String gid,
            String branch,
            String instance,
            Op op,
            Set<Op> legs,
            int attempt,
            Instant deadline,
            String traceparent,
            byte[] payload,
            Map<String, String> results) {

        /** The legs as the coordinator writes them. */
        String legsText() {
            return legs.stream().map(Op::word).collect(Collectors.joining(","));
        }
    }

    /**
     * The global transaction.
     *
     * @return its gid
     */
    public String gid() {
        return call.gid();
    }

    /**
     * The branch: this participant's part of the transaction.
     *
     * @return its id
     */
    public String branch() {
        return call.branch();
    }

    /**
     * Which life of the gid. A gid that is used again after its retention is another transaction.
     *
     * @return a UUID
     */
    public String instance() {
        return call.instance();
    }

    /**
     * Try, Confirm or Cancel.
     *
     * @return the op
     */
    public Op op() {
        return call.op();
    }

    /**
     * The legs this branch has.
     *
     * @return one to three
     */
    public Set<Op> legs() {
        return Collections.unmodifiableSet(EnumSet.copyOf(call.legs()));
    }

    /**
     * The attempt: a hint for people, since it may repeat after the coordinator restarts.
     *
     * @return 1, 2, …
     */
    public int attempt() {
        return call.attempt();
    }

    /**
     * On a Try: when it is given up if it stays unanswered.
     *
     * @return empty on Confirm and Cancel
     */
    public Optional<Instant> deadline() {
        return Optional.ofNullable(call.deadline());
    }

    /**
     * W3C trace context, to be passed on to whatever is called from here.
     *
     * @return empty where the call brings none
     */
    public Optional<String> traceparent() {
        return Optional.ofNullable(call.traceparent());
    }

    /**
     * Whether this is a Cancel of whose branch no Try was recorded here. It is run only for a participant that
     * {@linkplain Participant#cancelsEmpty() asks for it}.
     *
     * @return whether it is
     */
    public boolean empty() {
        return empty;
    }

    /**
     * The payload as it came, to the byte.
     *
     * @return JSON, or whatever the initiator sent; what is no UTF-8 is U+FFFD
     */
    public String payload() {
        return new String(call.payload(), StandardCharsets.UTF_8);
    }

    /**
     * The results that the call brings, by their branches, each as it was answered, to the byte.
     *
     * @return empty where the branch is not registered with {@code "results": true}
     */
    public Optional<Map<String, String>> results() {
        return Optional.ofNullable(call.results());
    }

    /**
     * What the Try of a branch was answered with. A call brings what the branches before its own were answered with, and in
     * Confirm and Cancel its own, where it is registered with {@link Branch#results()}.
     *
     * @param <T> the type
     * @param branch which branch
     * @param type what it is read as
     * @return the result; null where that is what was answered
     * @throws RefusedException the call brings none of that branch, or one that is no {@code T}. Called again it would be no
     *     other, so let it out
     */
    public <T> T result(String branch, Class<T> type) {
        String text = call.results() == null ? null : call.results().get(branch);
        if (text == null) {
            throw new RefusedException("result-missing", "the call brings no result of " + branch);
        }
        try {
            return mapper.readValue(text, type);
        } catch (JsonProcessingException error) {
            throw new RefusedException("result-unreadable", "the result of " + branch + " cannot be read");
        }
    }

    /**
     * Has a Try, once it is done, answered with this: the result of its branch, for the branches after it. The guard keeps it
     * with its row, so that a Try that is repeated is answered with the same. Of several the last counts. Elsewhere than in a
     * Try nobody reads it.
     *
     * @param result what Jackson can write, at most 16 KiB
     * @throws RefusedException it is larger than that, or cannot be written as JSON. Called again it would be no other, so
     *     let it out
     */
    public void answer(Object result) {
        String text;
        try {
            text = mapper.writeValueAsString(result);
        } catch (JsonProcessingException error) {
            throw new RefusedException("result-unreadable", "the result cannot be written");
        }
        int bytes = text.getBytes(StandardCharsets.UTF_8).length;
        if (bytes > RESULT_BYTES) {
            String detail = "the result has " + bytes + " bytes, and may have " + RESULT_BYTES;
            throw new RefusedException("result-too-large", detail);
        }
        answer = text;
    }

    /** What business code wants the call to be answered with; null: nothing of its own. */
    String answered() {
        return answer;
    }

    Call call() {
        return call;
    }

    <P> P read(Class<P> type) throws IOException {
        String text;
        try {
            text = Json.utf8(call.payload());
        } catch (CharacterCodingException error) {
            throw new IOException("it is no UTF-8", error);
        }
        P payload = mapper.readValue(text, type);
        if (payload == null) {
            throw new IOException("it is null");
        }
        return payload;
    }

    @Override
    public String toString() {
        return call.op() + " " + call.gid() + "/" + call.branch();
    }
}
