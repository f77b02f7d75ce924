package dev.tercet;

import dev.tercet.Http.Sent;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Executor;
import javax.net.ssl.SSLContext;

/**
 * Speaks to a coordinator. One is enough for a program: it is safe for any number of threads, which share its connections.
 *
 * <p>Every request can be repeated without harm, and is: no answer, 429, 502, 503 and 504 are met with the same bytes again,
 * up to ten times with growing pauses. A transaction always has a gid before it is first sent, so that a repeat is the same
 * transaction. Interrupting a thread that waits ends its wait, not the transaction.
 *
 * <pre>{@code
 * Client tercet = Client.of("http://127.0.0.1:7200");
 * Outcome outcome = tercet.begin(Transaction.of("order-1001")
 *         .branch(Branch.of("stock", "http://127.0.0.1:7301/stock", new Take("A1", 2)))
 *         .branch(Branch.of("payment", "http://127.0.0.1:7302/payment", new Debit("alice", 4200))));
 * }</pre>
 */
public final class Client {
    private static final Duration WAIT = Duration.ofSeconds(10);
    private static final Duration FOR_EVER = Duration.ofDays(365);

    private final Http http;
    private final WaitFor waitFor;
    private final Duration wait;
    private final Duration deadline;

    private Client(Http http, WaitFor waitFor, Duration wait, Duration deadline) {
        this.http = http;
        this.waitFor = waitFor;
        this.wait = wait;
        this.deadline = deadline;
    }

    /** What begin, confirm and cancel wait for before they are answered. */
    public enum WaitFor {
        /** Every branch has acknowledged the decision. */
        FINISHED,
        /** The decision is durable: what it says will happen, whatever fails. */
        DECIDED,
        /** The transaction is logged. */
        ACCEPTED;

        private final String word = name().toLowerCase(Locale.ROOT);
    }

    /**
     * A client of a coordinator.
     *
     * @param url such as {@code http://127.0.0.1:7200}
     * @return the client
     */
    public static Client of(String url) {
        return new Builder(url).build();
    }

    /**
     * A client that has more to say than an address.
     *
     * @param url such as {@code https://tercet.internal:7200}
     * @return puts it together
     */
    public static Builder builder(String url) {
        return new Builder(url);
    }

    /** Puts a {@link Client} together. */
    public static final class Builder {
        private final String url;
        private String token;
        private SSLContext tls;
        private Executor executor;

        private Builder(String url) {
            this.url = url;
        }

        /**
         * The token by which the coordinator knows this client. It is in no print and no exception. Take it from a file or a
         * variable ({@code TERCET_TOKEN} is the usual one).
         *
         * @param bearer of the role {@code client}
         * @return this
         */
        public Builder token(String bearer) {
            this.token = bearer;
            return this;
        }

        /**
         * Certificates of authorities that are trusted beside those whom the system trusts.
         *
         * @param pem one or more, in PEM
         * @return this
         */
        public Builder ca(byte[] pem) {
            this.tls = Tls.trusting(pem.clone());
            return this;
        }

        /**
         * TLS of your own, with a certificate for a coordinator that asks clients for one, say.
         *
         * @param context in place of {@link #ca}
         * @return this
         */
        public Builder tls(SSLContext context) {
            this.tls = context;
            return this;
        }

        /**
         * Threads for the HTTP client's own work: virtual ones, say, where there are any.
         *
         * @param threads in place of the JDK's
         * @return this
         */
        public Builder executor(Executor threads) {
            this.executor = threads;
            return this;
        }

        /**
         * The client.
         *
         * @return ready to be used
         * @throws IllegalArgumentException the URL or the token cannot be used
         */
        public Client build() {
            return new Client(new Http(url, token, tls, executor), WaitFor.FINISHED, WAIT, FOR_EVER);
        }
    }

    /**
     * What begin, confirm and cancel wait for; by default that everyone has acknowledged.
     *
     * @param what the end, the decision, or less
     * @return a client of the same connections
     */
    public Client waitingFor(WaitFor what) {
        return new Client(http, what, wait, deadline);
    }

    /**
     * How long the coordinator lets them wait at most, by default 10 s. The transaction goes on when the wait runs out: the
     * outcome is {@link Outcome.Pending}.
     *
     * @param most whole milliseconds, up to 60 s
     * @return a client of the same connections
     */
    public Client waitingAtMost(Duration most) {
        return new Client(http, waitFor, most, deadline);
    }

    /**
     * How long a method may take in all, its repeats and pauses included; then it throws
     * {@link TercetException.Unanswered}. By default as long as ten attempts take.
     *
     * @param most from the call on
     * @return a client of the same connections
     */
    public Client deadline(Duration most) {
        return new Client(http, waitFor, wait, most);
    }

    /**
     * Runs a transaction in one call: every branch is tried, then all are confirmed, or all are cancelled.
     *
     * @param transaction with its branches
     * @return how it stands; being cancelled is an outcome, not an exception
     * @throws TercetException nobody knows how it stands, or the coordinator refuses it
     */
    public Outcome begin(Transaction transaction) {
        String path = "/v1/transactions?" + waitQuery();
        Sent sent = Sent.post(path, transaction.body(false), transaction.traceparent());
        return send(sent, transaction.gid()).outcome();
    }

    /**
     * Begins an open transaction, whose branches are registered later and which is confirmed or cancelled by request. Use it
     * in a try-with-resources statement: who leaves it without having asked for either cancels. If this process dies, its
     * deadline cancels it, or whoever its {@linkplain Transaction#check check} leads to is asked.
     *
     * @param transaction with or without branches
     * @return the open transaction
     * @throws TercetException nobody knows how it stands, or the coordinator refuses it
     */
    public OpenTransaction open(Transaction transaction) {
        Sent sent = Sent.post("/v1/transactions", transaction.body(true), transaction.traceparent());
        TransactionView begun = send(sent, transaction.gid()).transaction();
        return new OpenTransaction(this, begun.gid(), begun, transaction.traceparent());
    }

    /**
     * Begins an open transaction and does work in it. An exception that leaves the work cancels, with its message as reason;
     * work that ends without having asked for either cancels, too.
     *
     * @param <T> what comes of it
     * @param transaction with or without branches
     * @param work registers branches, and asks for confirm
     * @return what the work returns
     * @throws Exception what leaves the work
     */
    public <T> T open(Transaction transaction, OpenTransaction.Work<T> work) throws Exception {
        try (OpenTransaction open = open(transaction)) {
            try {
                return work.run(open);
            } catch (Throwable error) {
                open.leaving(error);
                throw error;
            }
        }
    }

    /**
     * Takes up an open transaction that was begun before, here or elsewhere.
     *
     * @param gid which one
     * @return the open transaction; closing it cancels it, too
     */
    public OpenTransaction resume(String gid) {
        return new OpenTransaction(this, Ids.checked("gid", gid, Ids.GID_LENGTH), null, null);
    }

    /**
     * A transaction as it is now.
     *
     * @param gid which one
     * @return as the coordinator shows it
     * @throws TercetException no answer came, or there is none ({@code transaction-not-found})
     */
    public TransactionView get(String gid) {
        Ids.checked("gid", gid, Ids.GID_LENGTH);
        return http.send(Sent.get("/v1/transactions/" + gid), gid, Duration.ZERO, deadline).transaction();
    }

    /**
     * Waits for the end of a transaction, as long as this client waits.
     *
     * @param gid which one
     * @return how it stands
     * @throws TercetException no answer came, or there is none ({@code transaction-not-found})
     */
    public Outcome outcome(String gid) {
        Ids.checked("gid", gid, Ids.GID_LENGTH);
        // A read waits for a decision or an end; that the transaction is logged, it shows at once.
        String query = waitFor == WaitFor.ACCEPTED ? "" : "?" + waitQuery();
        return send(Sent.get("/v1/transactions/" + gid + query), gid).outcome();
    }

    /**
     * Runs a saga that the coordinator has a definition of, and waits as this client waits.
     *
     * @param run which one, and what it is about
     * @return how it stands
     * @throws TercetException nobody knows how it stands, or the coordinator refuses it: {@code saga-not-found}, or
     *     {@code invalid-request} with a pointer where the input does not fit
     */
    public Outcome runSaga(SagaRun run) {
        String path = "/v1/sagas/" + run.name() + "/runs?" + waitQuery();
        return send(Sent.post(path, run.body(), run.traceparent()), run.gid()).outcome();
    }

    /** Asks for a decision. That the other one had won is an outcome like any other. */
    Outcome decide(String gid, String decision, String body) {
        String path = "/v1/transactions/" + gid + "/" + decision + "?" + waitQuery();
        Reply reply = send(Sent.post(path, body, null), gid);
        return reply.isDecidedOtherwise() ? outcome(gid) : reply.outcome();
    }

    Reply register(String gid, String until, String body) {
        String path = "/v1/transactions/" + gid + "/branches?wait=" + until + "&wait_ms=" + wait.toMillis();
        return send(Sent.post(path, body, null), gid);
    }

    Http http() {
        return http;
    }

    private Reply send(Sent sent, String gid) {
        return http.send(sent, gid, wait, deadline);
    }

    private String waitQuery() {
        return "wait=" + waitFor.word + "&wait_ms=" + wait.toMillis();
    }
}
