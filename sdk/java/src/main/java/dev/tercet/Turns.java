package dev.tercet;

import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/**
 * One call of a branch at a time, within this process. The database would keep calls of one branch apart by itself; waiting
 * here instead costs no connection, so that repeats of a slow call cannot use up the pool.
 */
final class Turns {
    /** How long a call waits for another call of its branch before it answers "in progress". */
    static final Duration PATIENCE = Duration.ofMillis(500);

    private final Map<Key, Line> branches = new HashMap<>();

    private record Key(String gid, String branch) {}

    private static final class Line {
        final Semaphore free = new Semaphore(1, true);
        /** Those who hold or wait. When it falls to zero the entry goes. */
        int length;
    }

    /** Waits for the branch's turn; null if it did not come. */
    Turn take(String gid, String branch, Duration patience) throws InterruptedException {
        Key key = new Key(gid, branch);
        Line line;
        synchronized (branches) {
            line = branches.computeIfAbsent(key, made -> new Line());
            line.length++;
        }
        boolean taken = false;
        try {
            taken = line.free.tryAcquire(patience.toNanos(), TimeUnit.NANOSECONDS);
        } finally {
            if (!taken) {
                leave(key, line);
            }
        }
        return taken ? new Turn(key, line) : null;
    }

    private void leave(Key key, Line line) {
        synchronized (branches) {
            line.length--;
            if (line.length == 0) {
                branches.remove(key);
            }
        }
    }

    int size() {
        synchronized (branches) {
            return branches.size();
        }
    }

    /** The right to work on a branch. Any thread may give it up. */
    final class Turn implements AutoCloseable {
        private final Key key;
        private final Line line;

        private Turn(Key key, Line line) {
            this.key = key;
            this.line = line;
        }

        @Override
        public void close() {
            line.free.release();
            leave(key, line);
        }
    }
}
