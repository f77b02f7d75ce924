package dev.tercet;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.System.Logger.Level;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Participants on the JDK's own {@link HttpServer}.
 *
 * <p>That server writes the head of an answer and its body in two writes. By default the second one waits for the client to
 * acknowledge the first (Nagle's algorithm and a delayed acknowledgement: 40 ms a call), unless the system property
 * {@code sun.net.httpserver.nodelay} is {@code true} before the first server is made. {@link #create} sees to that. It also
 * gives the server threads: without an executor the server does all calls on one thread, a Cancel behind its own Try.
 */
public final class HttpServers {
    private static final String NO_DELAY = "sun.net.httpserver.nodelay";
    private static final int THREADS = 32;
    private static final System.Logger LOG = System.getLogger("dev.tercet");

    private HttpServers() {}

    /**
     * A server with threads of its own (daemons) whose answers do not wait. Mount endpoints, set another executor if you
     * will, and start it.
     *
     * @param port a port of the loopback interface; 0 takes a free one
     * @return a server that is not started
     * @throws IOException the port cannot be had
     */
    public static HttpServer create(int port) throws IOException {
        return create(new InetSocketAddress("127.0.0.1", port));
    }

    /**
     * The same at any address.
     *
     * @param address where it listens
     * @return a server that is not started
     * @throws IOException the address cannot be had
     */
    public static HttpServer create(InetSocketAddress address) throws IOException {
        if (System.getProperty(NO_DELAY) == null) {
            System.setProperty(NO_DELAY, "true");
        }
        HttpServer server = HttpServer.create(address, 1024);
        AtomicInteger made = new AtomicInteger();
        ThreadFactory daemons = work -> {
            Thread thread = new Thread(work, "tercet-http-" + made.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        };
        server.setExecutor(Executors.newFixedThreadPool(THREADS, daemons));
        return server;
    }

    /**
     * Mounts an endpoint: {@code server.createContext("/payment", HttpServers.handler(endpoint))}. Branches then name
     * {@code http://…/payment} as their endpoint.
     *
     * @param endpoint what answers
     * @return a handler for a server of your own; give it an executor with threads, and set the property
     *     {@code sun.net.httpserver.nodelay}
     */
    public static HttpHandler handler(Endpoint endpoint) {
        if (!Boolean.getBoolean(NO_DELAY)) {
            LOG.log(Level.WARNING, "without -D{0}=true each call of this server may cost 40 ms", NO_DELAY);
        }
        return exchange -> serve(endpoint, exchange);
    }

    private static void serve(Endpoint endpoint, HttpExchange exchange) throws IOException {
        try (exchange) {
            String context = exchange.getHttpContext().getPath();
            String path = exchange.getRequestURI().getPath().substring(context.length());
            String leg = path.startsWith("/") || context.endsWith("/") ? path.replaceFirst("^/", "") : "/";
            Answer answer = endpoint.serve(
                    exchange.getRequestMethod(),
                    leg,
                    exchange.getRequestURI().getRawQuery(),
                    name -> {
                        List<String> values = exchange.getRequestHeaders().get(name);
                        return values == null ? List.of() : values;
                    },
                    exchange.getRequestBody());
            send(exchange, answer);
        } catch (RuntimeException error) {
            LOG.log(Level.ERROR, "a request broke off", error);
            throw error;
        }
    }

    static void send(HttpExchange exchange, Answer answer) throws IOException {
        byte[] body = answer.body();
        exchange.getResponseHeaders().set("Content-Type", answer.contentType());
        answer.retryAfterSeconds()
                .ifPresent(pause -> exchange.getResponseHeaders().set("Retry-After", pause.toString()));
        exchange.sendResponseHeaders(answer.status(), body.length == 0 ? -1 : body.length);
        if (body.length > 0) {
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body);
            }
        }
    }
}
