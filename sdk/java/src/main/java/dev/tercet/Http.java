package dev.tercet;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLContext;

/** The connection to a coordinator: requests that are repeated until they are answered. */
final class Http {
    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final int ATTEMPTS = 10;
    private static final Duration BACKOFF = Duration.ofMillis(100);
    private static final Duration BACKOFF_CAP = Duration.ofSeconds(3);
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(2);
    /** How much longer than its wait an answer may take. */
    private static final Duration MARGIN = Duration.ofSeconds(5);
    /** More than a transaction with all its results has. */
    private static final int BODY_BYTES = 8 * 1024 * 1024;

    private final HttpClient client;
    /** Without a slash at the end. */
    private final String base;
    /** It is in no print of this. */
    private final String bearer;

    Http(String url, String token, SSLContext tls, Executor executor) {
        this.base = checked(url);
        this.bearer = token == null ? null : "Bearer " + checkedToken(token);
        HttpClient.Builder builder = HttpClient.newBuilder()
                // No upgrade to HTTP/2 is offered, over which some proxies stumble.
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER)
                .proxy(HttpClient.Builder.NO_PROXY)
                .connectTimeout(CONNECT_TIMEOUT);
        if (tls != null) {
            builder.sslContext(tls);
        }
        if (executor != null) {
            builder.executor(executor);
        }
        this.client = builder.build();
    }

    /** What a request carries; the same to the byte each time it is made. */
    record Sent(String method, String path, byte[] body, String traceparent) {
        static Sent get(String path) {
            return new Sent("GET", path, null, null);
        }

        static Sent post(String path, String body, String traceparent) {
            return new Sent("POST", path, body == null ? null : body.getBytes(StandardCharsets.UTF_8), traceparent);
        }
    }

    /** Asks until there is an answer: ten times at most, and no longer than the caller has time. */
    Reply send(Sent sent, String gid, Duration wait, Duration deadline) {
        long until = System.nanoTime() + deadline.toNanos();
        String last = null;
        Throwable cause = null;
        for (int attempts = 1; ; attempts++) {
            Duration left = Duration.ofNanos(until - System.nanoTime());
            Duration patience = wait.plus(MARGIN);
            boolean isCut = left.compareTo(patience) < 0;
            Duration asked = null;
            try {
                Reply reply = once(sent, isCut ? left : patience);
                if (!reply.isAgain()) {
                    return reply;
                }
                asked = reply.pause();
                last = "answered " + reply.status();
                cause = null;
            } catch (IOException error) {
                // That the caller has no time left says less than what went wrong before.
                if (last == null || !isCut || !(error.getCause() instanceof TimeoutException)) {
                    last = words(error);
                    cause = error;
                }
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
                throw new TercetException.Unanswered(gid, attempts, "interrupted", error);
            }
            Duration pause = Times.longer(Times.backoff(BACKOFF, BACKOFF_CAP, attempts), asked);
            if (attempts >= ATTEMPTS || System.nanoTime() + pause.toNanos() >= until) {
                throw new TercetException.Unanswered(gid, attempts, last, cause);
            }
            LOG.log(System.Logger.Level.DEBUG, "{0} is asked for again: {1}", gid, last);
            try {
                Thread.sleep(pause.toMillis());
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
                throw new TercetException.Unanswered(gid, attempts, "interrupted", error);
            }
        }
    }

    /** Asks once. The patience is for all of the answer, its body too. */
    Reply once(Sent sent, Duration patience) throws IOException, InterruptedException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + sent.path()))
                .method(
                        sent.method(),
                        sent.body() == null
                                ? HttpRequest.BodyPublishers.noBody()
                                : HttpRequest.BodyPublishers.ofByteArray(sent.body()));
        if (sent.body() != null) {
            request.header("Content-Type", "application/json");
        }
        if (bearer != null) {
            request.header("Authorization", bearer);
        }
        if (sent.traceparent() != null) {
            request.header("traceparent", sent.traceparent());
        }
        CompletableFuture<HttpResponse<byte[]>> asked = client.sendAsync(request.build(), head -> new BoundedBody());
        try {
            HttpResponse<byte[]> response = asked.get(Math.max(patience.toMillis(), 1), TimeUnit.MILLISECONDS);
            String retryAfter = response.headers().firstValue("retry-after").orElse(null);
            return new Reply(response.statusCode(), retryAfter, new String(response.body(), StandardCharsets.UTF_8));
        } catch (TimeoutException error) {
            throw new IOException("no answer within " + patience.toMillis() + " ms", error);
        } catch (ExecutionException error) {
            throw error.getCause() instanceof IOException cause ? cause : new IOException(error.getCause());
        } finally {
            asked.cancel(true);
        }
    }

    /** Keeps a body, up to a bound. */
    private static final class BoundedBody implements HttpResponse.BodySubscriber<byte[]> {
        private final HttpResponse.BodySubscriber<byte[]> kept = HttpResponse.BodySubscribers.ofByteArray();
        private Flow.Subscription subscription;
        private long bytes;

        @Override
        public CompletionStage<byte[]> getBody() {
            return kept.getBody();
        }

        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription = given;
            kept.onSubscribe(given);
        }

        @Override
        public void onNext(List<ByteBuffer> items) {
            for (ByteBuffer item : items) {
                bytes += item.remaining();
            }
            if (bytes > BODY_BYTES) {
                subscription.cancel();
                kept.onError(new IOException("the answer has more than " + BODY_BYTES + " bytes"));
            } else {
                kept.onNext(items);
            }
        }

        @Override
        public void onError(Throwable error) {
            kept.onError(error);
        }

        @Override
        public void onComplete() {
            kept.onComplete();
        }
    }

    /** The JDK often names the cause alone: "connection refused" is what people look for. */
    private static String words(Throwable error) {
        StringBuilder words = new StringBuilder();
        for (Throwable link = error; link != null && words.length() < 300; link = link.getCause()) {
            String word = link.getMessage() == null ? link.getClass().getSimpleName() : link.getMessage();
            if (words.indexOf(word) < 0) {
                words.append(words.isEmpty() ? "" : ": ").append(word);
            }
        }
        return words.toString();
    }

    private static String checked(String url) {
        URI parsed = URI.create(url);
        boolean known = "http".equals(parsed.getScheme()) || "https".equals(parsed.getScheme());
        if (!known || parsed.getHost() == null) {
            throw new IllegalArgumentException("\"" + url + "\" is not the URL of a coordinator: http or https");
        }
        if (parsed.getQuery() != null || parsed.getFragment() != null || parsed.getUserInfo() != null) {
            throw new IllegalArgumentException("the URL of a coordinator has no query, fragment or user");
        }
        return url.replaceFirst("/+$", "");
    }

    private static String checkedToken(String token) {
        String word = token.strip();
        if (word.isEmpty() || !word.chars().allMatch(c -> c > ' ' && c <= '~')) {
            throw new IllegalArgumentException("the token must be one word of printable ASCII");
        }
        return word;
    }
}
