package dev.tercet;

import dev.tercet.Claims.Claim;
import dev.tercet.Claims.Claimed;
import dev.tercet.Http.Sent;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Hands messages of an {@link Outbox} over to a coordinator, and follows them to their end. Any number of relays may work on
 * one table, in one process or in many, in any language: each message is one relay's for as long as its lease lasts, by the
 * database's clock.
 *
 * <p>A coordinator that is away only delays: messages stay pending, and a relay asks with one of them at a time, after 5 s at
 * the longest, until it is back. A message that the coordinator refuses for good is dead, with the reason.
 */
public final class Relay {
    private static final System.Logger LOG = System.getLogger("dev.tercet");
    private static final int BATCH = 100;
    private static final int AT_ONCE = 8;
    private static final Duration IDLE = Duration.ofMillis(10);
    private static final Duration IDLE_MOST = Duration.ofMillis(200);
    private static final Duration PURGE_EVERY = Duration.ofHours(1);

    private final Outbox outbox;
    private final Client client;
    private final Duration lease;
    private final Claims claims;

    private Relay(Outbox outbox, Client client, Duration lease) {
        this.outbox = outbox;
        this.client = client;
        this.lease = lease;
        this.claims = new Claims(outbox.database());
    }

    /**
     * A relay between this outbox and this coordinator.
     *
     * @param outbox whose messages
     * @param client of the coordinator
     * @return a relay that does nothing yet
     */
    public static Relay of(Outbox outbox, Client client) {
        return new Relay(outbox, client, Duration.ofSeconds(8));
    }

    /**
     * How long claimed messages are this relay's own, by default 8 s: so long the messages wait that a relay held when it
     * died. A request to the coordinator may take three eighths of it.
     *
     * @param time at least a second
     * @return a relay with that lease
     */
    public Relay lease(Duration time) {
        return new Relay(outbox, client, Times.longer(time, Duration.ofSeconds(1)));
    }

    /** What a round came to: nothing was due, something was, or the coordinator could not be asked. */
    private enum Round {
        IDLE,
        BUSY,
        AWAY
    }

    /** A round, and the least pause that a coordinator asked for that is away. */
    private record Came(Round round, Duration asked) {}

    /**
     * Sets it to work on two daemon threads: one hands over, one follows what was handed over.
     *
     * @return stops it when it is closed, after the rounds that are under way
     */
    public Closing start() {
        Background hands = Background.start("tercet-relay", Duration.ZERO, new Worker(Outbox.State.PENDING)::work);
        Background follows = Background.start("tercet-follow", Duration.ZERO, new Worker(Outbox.State.SENT)::work);
        return () -> {
            hands.close();
            follows.close();
        };
    }

    /** Sees to the rows of one state, round after round. */
    private final class Worker {
        private final Outbox.State state;
        private Duration idle = IDLE;
        private int away;
        private int failures;
        private long purgedAt = System.nanoTime();

        private Worker(Outbox.State state) {
            this.state = state;
        }

        private Duration work(Background background) {
            try {
                if (state == Outbox.State.SENT && System.nanoTime() - purgedAt > PURGE_EVERY.toNanos()) {
                    purgedAt = System.nanoTime();
                    outbox.purge();
                }
                // While the coordinator is away one message asks for all.
                Came came = round(state, away == 0 ? BATCH : 1);
                failures = 0;
                return pauseAfter(came);
            } catch (SQLException error) {
                failures++;
                LOG.log(Level.WARNING, "the outbox cannot be read or written", error);
                return Times.atLeastHalf(Duration.ofMillis(200), Duration.ofSeconds(2), failures);
            }
        }

        private Duration pauseAfter(Came came) {
            switch (came.round()) {
                case BUSY -> {
                    away = 0;
                    idle = IDLE;
                    return Duration.ZERO;
                }
                case AWAY -> {
                    away++;
                    return Told.pauseWhileAway(away, came.asked());
                }
                default -> {
                    Duration now = idle;
                    Duration twice = idle.multipliedBy(2);
                    idle = twice.compareTo(IDLE_MOST) < 0 ? twice : IDLE_MOST;
                    return now;
                }
            }
        }
    }

    /**
     * Hands over and follows what is due now, a batch of each. For those who would rather decide themselves when it is done:
     * tests, programs that run now and then.
     *
     * @return whether anything was due
     * @throws SQLException the database's; nothing is lost: what was claimed is due again when its lease has run out
     */
    public boolean once() throws SQLException {
        Round handedOver = round(Outbox.State.PENDING, BATCH).round();
        Round followed = round(Outbox.State.SENT, BATCH).round();
        return handedOver != Round.IDLE || followed != Round.IDLE;
    }

    /** One claim, from taking it to writing down what became of it. */
    private Came round(Outbox.State state, int limit) throws SQLException {
        // Before the claim, so that the lease ends later than is reckoned here.
        long began = System.nanoTime();
        Claim claim = claims.take(state, limit, lease);
        if (claim.rows().isEmpty()) {
            return new Came(Round.IDLE, null);
        }
        Map<Told.Next, List<String>> ended = new HashMap<>();
        Told away = null;
        ExecutorService threads = Executors.newFixedThreadPool(Math.min(AT_ONCE, claim.rows().size()));
        try {
            for (int from = 0; from < claim.rows().size(); from += AT_ONCE) {
                List<Claimed> some = claim.rows().subList(from, Math.min(from + AT_ONCE, claim.rows().size()));
                // What is begun now is answered before the lease ends. The rest goes back to whoever comes.
                boolean inTime = System.nanoTime() - began < lease.toNanos() / 2;
                if (away != null || !inTime) {
                    some.forEach(row -> note(ended, Told.givenBack(state), row));
                    continue;
                }
                List<Future<Told>> calls = new ArrayList<>();
                some.forEach(row -> calls.add(threads.submit(() -> ask(state, row))));
                for (int at = 0; at < some.size(); at++) {
                    Told told = told(calls.get(at));
                    if (told == null) {
                        // One that broke off is left to its lease: nobody knows what it has done.
                        continue;
                    }
                    away = told.kind() == Told.Kind.AWAY ? told : away;
                    note(ended, told.next(state, some.get(at).attempts()), some.get(at));
                }
            }
        } finally {
            threads.shutdownNow();
        }
        claims.settle(claim, state, ended);
        if (away != null) {
            LOG.log(Level.WARNING, "the coordinator is away: {0}", away.why());
            return new Came(Round.AWAY, away.asked());
        }
        return new Came(Round.BUSY, null);
    }

    /** What a row was told. Who is interrupted meanwhile waits for it all the same: it is bounded. */
    private static Told told(Future<Told> call) {
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return call.get();
                } catch (InterruptedException error) {
                    interrupted = true;
                } catch (ExecutionException error) {
                    LOG.log(Level.WARNING, "a message could not be handed over", error);
                    return null;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private Told ask(Outbox.State state, Claimed row) throws InterruptedException {
        Sent sent = state == Outbox.State.SENT
                ? Sent.get("/v1/transactions/" + row.gid())
                : Sent.post("/v1/transactions?wait=accepted&wait_ms=0", row.request(), row.traceparent());
        try {
            return Told.of(client.http().once(sent, lease.multipliedBy(3).dividedBy(8)));
        } catch (IOException error) {
            return Told.away(String.valueOf(error.getMessage()));
        }
    }

    private static void note(Map<Told.Next, List<String>> ended, Told.Next next, Claimed row) {
        if (next.state() == Outbox.State.DEAD) {
            LOG.log(Level.ERROR, "{0} is dead, and will not be handed over: {1}", row.gid(), next.reason());
        }
        ended.computeIfAbsent(next, made -> new ArrayList<>()).add(row.gid());
    }
}
