package dev.tercet;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.System.Logger.Level;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The URLs of a participant, guarded: {@code POST /try}, {@code /confirm} and {@code /cancel}, which are called, and
 * {@code GET /branches}, the guard's rows for whoever compares books ({@code tercet reconcile}). It knows no web server:
 * {@link HttpServers} and {@link dev.tercet.servlet.TercetServlet} mount it, and {@link #serve} does for any other.
 *
 * <p>A call goes on when its caller hangs up, so that the next one finds it done.
 */
public final class Endpoint {
    /** More than the coordinator accepts as a payload and as results, written as JSON, and less than would hurt. */
    static final int BODY_BYTES = 2 * 1024 * 1024;

    /** How long a call may wait to begin, on SQLite, before its caller is told that it is in progress. */
    private static final Duration QUEUE_PATIENCE = Duration.ofSeconds(1);

    private static final System.Logger LOG = System.getLogger("dev.tercet");

    private final Participant<?> participant;
    private final Guard guard;
    private final Turns turns;
    private final ObjectMapper mapper;
    private final Signatures signatures;
    private final Duration queuePatience;

    private Endpoint(
            Participant<?> participant,
            Guard guard,
            Turns turns,
            ObjectMapper mapper,
            Signatures signatures,
            Duration queuePatience) {
        this.participant = participant;
        this.guard = guard;
        this.turns = turns;
        this.mapper = mapper;
        this.signatures = signatures;
        this.queuePatience = queuePatience;
    }

    /**
     * The URLs of a participant.
     *
     * @param participant does the work
     * @param guard in the database that the participant writes to
     * @return the endpoint
     */
    public static Endpoint of(Participant<?> participant, Guard guard) {
        return new Endpoint(participant, guard, new Turns(), Json.MAPPER, null, QUEUE_PATIENCE);
    }

    /**
     * Lets through only what is signed by one of these secrets, as Standard Webhooks says. Give the coordinator the first of
     * them for this service's host and port ({@code [[participants.signing]]}). To change a secret without a gap, give the
     * new one to the participants beside the old one, then to the coordinator, then take the old one away.
     *
     * @param secrets {@code whsec_} and base64 each; without any, nobody is let through
     * @return the endpoint for signed calls
     */
    public Endpoint signedBy(String... secrets) {
        return new Endpoint(participant, guard, turns, mapper, Signatures.by(List.of(secrets)), queuePatience);
    }

    /**
     * Reads payloads and results by another mapper, with modules of your own, say.
     *
     * @param other a mapper; the library's own fails on what is missing for a primitive, and guesses no types
     * @return the endpoint with that mapper
     */
    public Endpoint json(ObjectMapper other) {
        return new Endpoint(participant, guard, turns, other, signatures, queuePatience);
    }

    Endpoint queuePatience(Duration patience) {
        return new Endpoint(participant, guard, turns, mapper, signatures, patience);
    }

    /**
     * Answers a request.
     *
     * @param method {@code POST} or {@code GET}
     * @param leg the last part of the path: {@code try}, {@code confirm}, {@code cancel} or {@code branches}
     * @param query the raw query; null where there is none
     * @param headers the request's
     * @param body the request's, of which no more than 2 MiB are read
     * @return what goes back: one status, one body
     * @throws IOException the body could not be read; nobody waits for an answer
     */
    public Answer serve(String method, String leg, String query, Headers headers, InputStream body) throws IOException {
        Optional<Op> op = Op.of(leg);
        if (op.isEmpty() && !leg.equals("branches")) {
            return Answer.problem(404, "not-found", "there are /try, /confirm, /cancel and /branches");
        }
        if (!method.equals(op.isPresent() ? "POST" : "GET")) {
            return Answer.problem(405, "method-not-allowed", "calls are POST, books are GET");
        }
        byte[] read;
        try {
            Signatures.Signed signed =
                    signatures == null ? null : Signatures.checkHeaders(leg, headers, guard.clock().instant());
            read = bounded(body);
            if (read == null) {
                return Answer.problem(413, "payload-too-large", "the body has more than " + BODY_BYTES + " bytes");
            }
            if (signed != null) {
                signatures.checkBody(signed, read);
            }
        } catch (Signatures.UnsignedException why) {
            LOG.log(Level.WARNING, "a call is not signed as it must be: {0}", why.getMessage());
            return Answer.problem(401, "unsigned", why.getMessage());
        }
        try {
            return op.isPresent() ? call(Calls.read(op.get(), headers, read)) : Books.answer(guard, query);
        } catch (Calls.BadHeaderException why) {
            LOG.log(Level.WARNING, "a call cannot be read: {0}", why.getMessage());
            return Answer.problem(400, "invalid-call", why.getMessage());
        }
    }

    private Answer call(Context.Call call) {
        Turns.Turn turn = null;
        try {
            turn = turns.take(call.gid(), call.branch(), Turns.PATIENCE);
            if (turn == null) {
                return Answer.inProgress();
            }
            if (guard.database().isForOneWriter()) {
                Turns.Turn handed = turn;
                turn = null;
                return queued(call, handed);
            }
            return guard.answer(participant, call, mapper, () -> {});
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            return Answer.inProgress();
        } catch (SQLException error) {
            LOG.log(Level.WARNING, "the database cannot be asked", error);
            return Database.isExhausted(error) ? Answer.busy(call.op()) : Answer.failed();
        } finally {
            if (turn != null) {
                turn.close();
            }
        }
    }

    /** Has the one writer run it. A caller that has waited for a second is sent away; the call keeps its place. */
    private Answer queued(Context.Call call, Turns.Turn turn) throws InterruptedException {
        CompletableFuture<Void> begun = new CompletableFuture<>();
        CompletableFuture<Answer> answered = new CompletableFuture<>();
        boolean waits = guard.database().queue().offer(() -> {
            try (turn) {
                answered.complete(guard.answer(participant, call, mapper, () -> begun.complete(null)));
            } catch (Throwable error) {
                LOG.log(Level.ERROR, "a call broke off", error);
                answered.complete(Answer.failed());
            }
        });
        if (!waits) {
            turn.close();
            return Answer.busy(call.op());
        }
        try {
            CompletableFuture.anyOf(begun, answered).get(queuePatience.toMillis(), TimeUnit.MILLISECONDS);
            return answered.get();
        } catch (TimeoutException error) {
            return Answer.inProgress();
        } catch (ExecutionException error) {
            throw new IllegalStateException("it is always completed by a value", error);
        }
    }

    private static byte[] bounded(InputStream body) throws IOException {
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        byte[] some = new byte[8192];
        int length;
        while ((length = body.read(some)) >= 0) {
            read.write(some, 0, length);
            if (read.size() > BODY_BYTES) {
                return null;
            }
        }
        return read.toByteArray();
    }
}
