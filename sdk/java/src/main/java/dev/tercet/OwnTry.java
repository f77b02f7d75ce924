package dev.tercet;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;

/** A registered branch whose Try the initiator is to call: what the call says, and how its answer is read. */
public final class OwnTry {
    private final Context.Call call;
    private final String url;
    private final String payload;

    OwnTry(Context.Call call, String url, String payload) {
        this.call = call;
        this.url = url;
        this.payload = payload;
    }

    /**
     * Where the call goes.
     *
     * @return null where the branch was registered without a URL of Try
     */
    public String url() {
        return url;
    }

    /**
     * The body of the call, the same to the byte as the coordinator sends with Confirm and Cancel.
     *
     * @return the branch's payload
     */
    public String body() {
        return payload;
    }

    /**
     * The headers of the call. The participant cannot tell it from one of the coordinator's.
     *
     * @return by their names, in lower case
     */
    public Map<String, String> headers() {
        Map<String, String> headers = Calls.write(call);
        headers.put("content-type", "application/json");
        return headers;
    }

    /**
     * The same, signed for a participant that lets through what is signed alone. Make the call within five minutes, and sign
     * each attempt anew.
     *
     * @param secret {@code whsec_} and base64
     * @return by their names, in lower case
     */
    public Map<String, String> signedHeaders(String secret) {
        Map<String, String> headers = headers();
        Signatures.sign(headers, secret, payload.getBytes(StandardCharsets.UTF_8), Instant.now());
        return headers;
    }

    /**
     * The next call: another attempt of the same Try.
     *
     * @return what it says
     */
    public OwnTry again() {
        int next = call.attempt() == Integer.MAX_VALUE ? call.attempt() : call.attempt() + 1;
        Context.Call repeated = new Context.Call(
                call.gid(),
                call.branch(),
                call.instance(),
                call.op(),
                call.legs(),
                next,
                call.deadline(),
                call.traceparent(),
                call.payload(),
                call.results());
        return new OwnTry(repeated, url, payload);
    }

    /**
     * What an answer means, as the coordinator would read it. No answer at all is {@link Verdict#unanswered()}.
     *
     * @param status the HTTP status
     * @param retryAfter the header as it came; null where it is missing
     * @return only {@link Verdict.Kind#DONE} allows a confirm
     */
    public Verdict verdict(int status, String retryAfter) {
        Duration asked = Times.retryAfter(retryAfter, Instant.now());
        return Verdict.of(Op.TRY, status, asked);
    }
}
