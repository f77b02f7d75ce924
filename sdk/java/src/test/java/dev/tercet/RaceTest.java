package dev.tercet;

import static dev.tercet.TestCalls.call;
import static dev.tercet.TestCalls.headers;
import static dev.tercet.TestCalls.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import javax.sql.DataSource;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The guard under calls at once, deadlocks, pools that are used up and processes that die. */
@Tag("races")
@Execution(ExecutionMode.CONCURRENT)
class RaceTest {
    private static final String DEBIT = "{\"account\":\"alice\",\"amount\":1}";

    static Stream<String> kinds() {
        return Databases.kinds();
    }

    private static <T> List<T> atOnce(List<Callable<T>> all) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(all.size());
        try {
            CyclicBarrier together = new CyclicBarrier(all.size());
            List<Future<T>> called = new ArrayList<>();
            for (Callable<T> one : all) {
                called.add(threads.submit(() -> {
                    together.await();
                    return one.call();
                }));
            }
            List<T> came = new ArrayList<>();
            for (Future<T> one : called) {
                came.add(one.get());
            }
            return came;
        } finally {
            threads.shutdown();
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void callsOfTwoProcessesAreOneAfterTheOther(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource one = database.pool(6);
                HikariDataSource other = database.pool(6)) {
            Accounts.create(one, 1000, "alice");
            // Two pools and two endpoints know as little of each other as two processes do.
            Endpoint here = Endpoint.of(new Accounts(), Guard.on(one).migrate());
            Endpoint there = Endpoint.of(new Accounts(), Guard.on(other));
            for (int round = 0; round < 10; round++) {
                String gid = "same-" + round;
                List<Callable<Integer>> calls = new ArrayList<>();
                for (Endpoint endpoint : List.of(here, there, here, there)) {
                    calls.add(() -> settle(endpoint, "try", headers("try", gid), DEBIT).status());
                }
                assertEquals(List.of(200, 200, 200, 200), atOnce(calls));
            }
            assertEquals("990/10/0", Accounts.of(one, "alice"));
            int reserved = 10;
            for (int round = 0; round < 10; round++) {
                String gid = "race-" + round;
                List<Callable<Integer>> calls = List.of(
                        () -> settle(here, "try", headers("try", gid), DEBIT).status(),
                        () -> settle(there, "cancel", headers("cancel", gid), DEBIT).status());
                List<Integer> came = atOnce(calls);
                assertEquals(200, came.get(1), "a Cancel is never refused");
                assertTrue(came.get(0) == 200 || came.get(0) == 409, came.toString());
            }
            assertEquals(1000 - reserved + "/" + reserved + "/0", Accounts.of(one, "alice"), "nothing stays frozen");
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void deadlocksAreRunAgain(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(8)) {
            Accounts.create(pool, 1000, "alice", "bob");
            AtomicInteger runs = new AtomicInteger();
            CyclicBarrier both = new CyclicBarrier(2);
            Participant<List<?>> transfer = new Transfer(runs, kind.equals("sqlite") ? null : both);
            Endpoint endpoint = Endpoint.of(transfer, Guard.on(pool).migrate());
            List<Callable<Integer>> calls = List.of(
                    () -> settle(endpoint, "try", headers("try", "ab"), "[\"alice\",\"bob\"]").status(),
                    () -> settle(endpoint, "try", headers("try", "ba"), "[\"bob\",\"alice\"]").status());
            assertEquals(List.of(200, 200), atOnce(calls));
            assertEquals("998/0/2", Accounts.of(pool, "alice"));
            assertEquals("998/0/2", Accounts.of(pool, "bob"));
            // One of the two was sacrificed, and its work rolled back.
            assertTrue(kind.equals("sqlite") || runs.get() > 2, "there was no deadlock: " + runs);
        }
    }

    /** Takes from two accounts, in the order that it is told. */
    private record Transfer(AtomicInteger runs, CyclicBarrier both) implements Participant<List<?>> {
        @Override
        @SuppressWarnings("unchecked")
        public Class<List<?>> payloadType() {
            return (Class<List<?>>) (Class<?>) List.class;
        }

        @Override
        public void onTry(Connection db, Context call, List<?> names) throws Exception {
            int run = runs.incrementAndGet();
            take(db, (String) names.get(0));
            if (both != null && run <= 2) {
                both.await();
            }
            try {
                take(db, (String) names.get(1));
            } catch (SQLException error) {
                // Frameworks wrap it.
                throw new IllegalStateException("wrapped", error);
            }
        }

        private static void take(Connection db, String name) throws SQLException {
            Accounts.update(db, "UPDATE accounts SET balance = balance - 1, paid = paid + 1 WHERE name = ?", name);
        }

        @Override
        public void onConfirm(Connection db, Context call, List<?> names) {}

        @Override
        public void onCancel(Connection db, Context call, List<?> names) {}
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void anErrorThatIsCaughtIsNoSuccessOnPostgres(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Accounts.create(pool, 1000, "alice");
            Accounts catches = new Accounts() {
                @Override
                public void onTry(Connection db, Context call, Debit debit) throws Exception {
                    super.onTry(db, call, debit);
                    try {
                        update(db, "UPDATE nothing_of_this_name SET a = 1");
                    } catch (SQLException error) {
                        assertTrue(error.getMessage().contains("nothing_of_this_name"));
                    }
                }
            };
            Answer tried = call(Endpoint.of(catches, Guard.on(pool).migrate()), "try", "g", DEBIT);
            boolean givesUp = kind.equals("postgres");
            assertEquals(givesUp ? 503 : 200, tried.status());
            assertEquals(givesUp ? "1000/0/0" : "999/1/0", Accounts.of(pool, "alice"));
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void aDeadlockThatIsCaughtIsNoSuccess(String kind) throws Exception {
        assumeTrue(kind.startsWith("m"), "PostgreSQL refuses to go on, and SQLite has no deadlocks");
        for (String op : List.of("try", "confirm")) {
            try (Databases database = Databases.fresh(kind);
                    HikariDataSource pool = database.pool(2);
                    HikariDataSource others = database.pool(1)) {
                Accounts.create(pool, 1000, "alice", "bob");
                Catching catching = new Catching(others, Op.valueOf(op.toUpperCase(java.util.Locale.ROOT)));
                Endpoint endpoint = Endpoint.of(catching, Guard.on(pool).migrate());
                if (op.equals("confirm")) {
                    assertEquals(200, call(endpoint, "try", "g", DEBIT).status());
                }
                String before = Accounts.balances(pool);
                assertEquals(503, call(endpoint, op, "g", DEBIT).status());
                assertEquals(1213, catching.caught);
                assertEquals(before, Accounts.balances(pool));
                assertEquals(200, call(endpoint, op, "g", DEBIT).status());
                assertEquals(op.equals("try") ? "999/1/0" : "999/0/1", Accounts.of(pool, "alice"));
            }
        }
    }

    /** Is sacrificed once, catches that and goes on, in what is another transaction by then. */
    private static final class Catching extends Accounts {
        private static final String WRITE = "UPDATE accounts SET paid = paid + 7 WHERE name = ?";
        private final DataSource others;
        private final Op when;
        private int caught;

        Catching(DataSource others, Op when) {
            this.others = others;
            this.when = when;
        }

        @Override
        public void onTry(Connection db, Context call, Debit debit) throws Exception {
            super.onTry(db, call, debit);
            collide(db, call);
        }

        @Override
        public void onConfirm(Connection db, Context call, Debit debit) throws Exception {
            super.onConfirm(db, call, debit);
            collide(db, call);
        }

        private void collide(Connection db, Context call) throws Exception {
            if (call.op() != when || caught != 0) {
                return;
            }
            try (Connection other = others.getConnection()) {
                other.setAutoCommit(false);
                // Who has written less is sacrificed.
                for (int n = 0; n < 50; n++) {
                    update(other, "INSERT INTO accounts VALUES (?, 0, 0, 0)", "other-" + n);
                }
                update(other, WRITE, "bob");
                Thread waits = new Thread(() -> {
                    try {
                        update(other, WRITE, "alice");
                    } catch (SQLException error) {
                        throw new IllegalStateException(error);
                    }
                });
                waits.start();
                try {
                    update(db, WRITE, "bob");
                } catch (SQLException error) {
                    caught = error.getErrorCode();
                }
                waits.join();
                other.rollback();
            }
            update(db, WRITE, "bob");
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void aProcessThatDiesBeforeItsCommitHasDoneNothing(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource pool = database.pool(2)) {
            Accounts.create(pool, 1000, "alice");
            Guard.on(pool).migrate();
            String java = System.getProperty("java.home") + "/bin/java";
            List<String> command = new ArrayList<>(List.of(java, "-cp", System.getProperty("java.class.path")));
            command.addAll(List.of(Dying.class.getName(), database.url()));
            if (database.user() != null) {
                command.addAll(List.of(database.user(), database.password()));
            }
            String told = Programs.run(command);
            assertTrue(told.startsWith("7\n") && told.contains("taken"), told);
            assertEquals("1000/0/0", Accounts.of(pool, "alice"));
            Endpoint endpoint = Endpoint.of(new Accounts(), Guard.on(pool));
            assertEquals(200, settle(endpoint, "try", headers("try", "g"), DEBIT).status());
            assertEquals("999/1/0", Accounts.of(pool, "alice"));
        }
    }

    /** A process that dies in the middle of a Try. */
    static final class Dying {
        private Dying() {}

        public static void main(String[] given) throws Exception {
            String user = given.length > 1 ? given[1] : null;
            Databases database = new Databases("dying", given[0], user, user == null ? null : given[2], () -> {});
            Accounts dies = new Accounts() {
                @Override
                public void onTry(Connection db, Context call, Debit debit) throws Exception {
                    super.onTry(db, call, debit);
                    System.out.println("taken");
                    System.out.flush();
                    Runtime.getRuntime().halt(7);
                }
            };
            try (HikariDataSource pool = database.pool(1)) {
                call(Endpoint.of(dies, Guard.on(pool)), "try", "g", DEBIT);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("kinds")
    void pendingCallsDoNotUseUpThePool(String kind) throws Exception {
        try (Databases database = Databases.fresh(kind);
                HikariDataSource one = database.pool(4);
                HikariDataSource other = database.pool(4)) {
            Accounts.create(one, 1000, "alice");
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch ends = new CountDownLatch(1);
            Accounts slow = new Accounts() {
                @Override
                public void onTry(Connection db, Context call, Debit debit) throws Exception {
                    super.onTry(db, call, debit);
                    begun.countDown();
                    ends.await();
                }
            };
            Endpoint there = Endpoint.of(slow, Guard.on(other).migrate());
            Thread first = new Thread(() -> call(there, "try", "slow", DEBIT));
            first.start();
            begun.await();
            Guard guard = Guard.on(one);
            Endpoint here = Endpoint.of(new Accounts(), guard);
            List<Callable<Integer>> cancels = new ArrayList<>();
            for (int at = 0; at < 8; at++) {
                cancels.add(() -> call(here, "cancel", "slow", DEBIT).status());
            }
            assertEquals(java.util.Collections.nCopies(8, 202), atOnce(cancels), "its Try is still running elsewhere");
            ends.countDown();
            first.join();
            Answer cancelled = settle(here, "cancel", headers("cancel", "slow"), DEBIT);
            assertEquals(200, cancelled.status());
            assertEquals("1000/0/0", Accounts.of(one, "alice"));
            assertEquals(0, one.getHikariPoolMXBean().getActiveConnections(), "all went back");
        }
    }

    @Test
    void callsOnSqliteKeepTheirPlace() throws Exception {
        try (Databases database = Databases.fresh("sqlite");
                HikariDataSource pool = database.pool(4)) {
            Accounts.create(pool, 1000, "alice");
            CountDownLatch begun = new CountDownLatch(1);
            CountDownLatch ends = new CountDownLatch(1);
            CountDownLatch second = new CountDownLatch(1);
            Accounts slow = new Accounts() {
                @Override
                public void onTry(Connection db, Context call, Debit debit) throws Exception {
                    super.onTry(db, call, debit);
                    if (call.gid().equals("slow")) {
                        begun.countDown();
                        ends.await();
                    } else {
                        second.countDown();
                    }
                }
            };
            Endpoint endpoint = Endpoint.of(slow, Guard.on(pool).migrate());
            Thread first = new Thread(() -> call(endpoint, "try", "slow", DEBIT));
            first.start();
            begun.await();
            assertEquals(202, call(endpoint, "try", "waits", DEBIT).status());
            ends.countDown();
            // Nobody calls it again: it kept its place.
            second.await();
            first.join();
            Answer repeated = settle(endpoint, "try", headers("try", "waits"), DEBIT);
            assertEquals("{\"state\":\"tried\",\"repeated\":true}", TestCalls.text(repeated));
            assertEquals("998/2/0", Accounts.of(pool, "alice"));
        }
    }

    /** However the DataSource was set, the right to write is asked for at once, and connections go back as they came. */
    @Test
    void sqliteIsBegunRightWhateverTheDataSourceSays() throws Exception {
        try (Databases database = Databases.fresh("sqlite")) {
            org.sqlite.SQLiteDataSource plain = new org.sqlite.SQLiteDataSource();
            plain.setUrl(database.url());
            Accounts.create(plain, 1000, "alice");
            org.sqlite.SQLiteDataSource immediate = new org.sqlite.SQLiteDataSource();
            immediate.setUrl(database.url());
            immediate.setTransactionMode("IMMEDIATE");
            immediate.setBusyTimeout(7_000);
            HikariDataSource manual = database.pool(2, config -> config.setAutoCommit(false));
            int number = 0;
            for (DataSource source : List.of(plain, immediate, manual)) {
                String gid = "g-" + number++;
                Guard guard = Guard.on(source).migrate();
                // Nobody else can write, although this one has not written yet.
                guard.database().inTransactionOnce(db -> {
                    try (Connection other = plain.getConnection();
                            Statement statement = other.createStatement()) {
                        statement.execute("PRAGMA busy_timeout = 1");
                        org.junit.jupiter.api.Assertions.assertThrows(
                                SQLException.class, () -> statement.execute("BEGIN IMMEDIATE"));
                    }
                    return null;
                });
                Endpoint endpoint = Endpoint.of(new Accounts(), guard);
                assertEquals(200, call(endpoint, "try", gid, DEBIT).status());
                assertEquals(200, call(endpoint, "confirm", gid, DEBIT).status());
                try (Connection db = source.getConnection()) {
                    assertEquals(source != manual, db.getAutoCommit());
                    try (Statement statement = db.createStatement();
                            var found = statement.executeQuery("PRAGMA busy_timeout")) {
                        assertEquals(source == immediate ? 7_000 : 3_000, found.getInt(1));
                    }
                    if (!db.getAutoCommit()) {
                        db.rollback();
                    }
                }
            }
            manual.close();
            assertEquals("997/0/3", Accounts.of(plain, "alice"));
        }
    }

    @Test
    void turnsLeaveNothingBehind() throws Exception {
        Turns turns = new Turns();
        Turns.Turn first = turns.take("g", "b", Turns.PATIENCE);
        assertTrue(turns.take("g", "b", java.time.Duration.ofMillis(1)) == null, "two at once");
        assertEquals(1, turns.size());
        first.close();
        try (Turns.Turn second = turns.take("g", "b", Turns.PATIENCE)) {
            assertTrue(second != null);
        }
        assertEquals(Map.of(), turns.size() == 0 ? Map.of() : Map.of("left", turns.size()));
    }
}
