package dev.tercet;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signatures of calls, as Standard Webhooks says: HMAC-SHA256 over {@code {id}.{timestamp}.{body}}, in base64. */
final class Signatures {
    private static final String PREFIX = "whsec_";
    private static final String VERSION = "v1,";
    private static final long GOOD_FOR_SECONDS = 5 * 60;
    private static final int MOST_SIGNATURES = 16;

    private final List<SecretKeySpec> keys;

    private Signatures(List<SecretKeySpec> keys) {
        this.keys = keys;
    }

    /** The secrets of which any may have signed a call. It is not said which one is none, nor what it is. */
    static Signatures by(List<String> secrets) {
        return new Signatures(secrets.stream().map(Signatures::key).toList());
    }

    /** What came with a call by which it is known whose it is. */
    record Signed(String id, String timestamp, String signatures) {}

    /** A call is nobody's. */
    static final class UnsignedException extends Exception {
        private static final long serialVersionUID = 1;

        UnsignedException(String why) {
            super(why);
        }
    }

    /** Whether the headers say that this very call was signed around now. What costs nothing comes before the body. */
    static Signed checkHeaders(String url, Headers headers, Instant now) throws UnsignedException {
        Signed signed = new Signed(
                present(headers, "webhook-id"),
                present(headers, "webhook-timestamp"),
                present(headers, "webhook-signature"));
        boolean isNumber = signed.timestamp.length() <= 18
                && !signed.timestamp.isEmpty()
                && signed.timestamp.chars().allMatch(c -> c >= '0' && c <= '9');
        if (!isNumber || Math.abs(Long.parseLong(signed.timestamp) - now.getEpochSecond()) > GOOD_FOR_SECONDS) {
            throw new UnsignedException("header webhook-timestamp is more than five minutes off, or no time");
        }
        // Only the id is under the signature: what the other headers and the URL say of the call must be what it says.
        String op = headers.only("tercet-op");
        boolean isThisUrl = url.equals("branches") ? op == null : url.equals(op);
        if (!isThisUrl || !signed.id.equals(callId(headers::only))) {
            throw new UnsignedException("header webhook-id is that of another call than its other headers tell of");
        }
        return signed;
    }

    /** Whether one of the secrets signed it with this body. How long it takes says nothing of the right one. */
    void checkBody(Signed signed, byte[] body) throws UnsignedException {
        String[] given = signed.signatures.split(" ");
        for (int at = 0; at < given.length && at < MOST_SIGNATURES; at++) {
            byte[] signature = given[at].startsWith(VERSION) ? decode(given[at].substring(VERSION.length())) : null;
            if (signature == null) {
                continue;
            }
            for (SecretKeySpec key : keys) {
                if (MessageDigest.isEqual(mac(key, signed.id, signed.timestamp, body), signature)) {
                    return;
                }
            }
        }
        throw new UnsignedException("header webhook-signature has no signature by a secret that is known here");
    }

    /** Signs a call as the coordinator does, by what its headers say of it. */
    static void sign(Map<String, String> headers, String secret, byte[] body, Instant now) {
        String id = callId(headers::get);
        String timestamp = Long.toString(now.getEpochSecond());
        byte[] signature = mac(key(secret), id, timestamp, body);
        headers.put("webhook-id", id);
        headers.put("webhook-timestamp", timestamp);
        headers.put("webhook-signature", VERSION + Base64.getEncoder().encodeToString(signature));
    }

    /** The parts of what is signed are told apart by dots, so a dot of a gid is written as {@code %2E}. */
    private static String callId(java.util.function.UnaryOperator<String> header) {
        StringBuilder id = new StringBuilder();
        for (String name : List.of("tercet-gid", "tercet-branch", "tercet-op", "tercet-instance")) {
            String part = header.apply(name);
            id.append(id.isEmpty() && name.equals("tercet-gid") ? "" : "/");
            id.append(part == null ? "" : part.replace("%", "%25").replace(".", "%2E"));
        }
        return id.toString();
    }

    private static String present(Headers headers, String name) throws UnsignedException {
        String value = headers.only(name);
        if (value == null) {
            throw new UnsignedException("header " + name + " is missing");
        }
        return value;
    }

    private static SecretKeySpec key(String secret) {
        byte[] bytes = secret.startsWith(PREFIX) ? decode(secret.substring(PREFIX.length())) : null;
        if (bytes == null || bytes.length < 24 || bytes.length > 64) {
            throw new IllegalArgumentException("a signing secret must be whsec_ and then 24 to 64 random bytes in base64");
        }
        return new SecretKeySpec(bytes, "HmacSHA256");
    }

    private static byte[] decode(String base64) {
        try {
            return base64.length() % 4 == 0 ? Base64.getDecoder().decode(base64) : null;
        } catch (IllegalArgumentException error) {
            return null;
        }
    }

    private static byte[] mac(SecretKeySpec key, String id, String timestamp, byte[] body) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(key);
            mac.update((id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8));
            return mac.doFinal(body);
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("every Java has HmacSHA256", error);
        }
    }

    /** Nothing prints a secret. */
    @Override
    public String toString() {
        return "***";
    }
}
