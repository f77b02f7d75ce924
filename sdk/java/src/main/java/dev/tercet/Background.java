package dev.tercet;

import java.lang.System.Logger.Level;
import java.time.Duration;
import java.util.function.Function;

/** A daemon thread that does one thing again and again, with pauses, until it is closed. A round is never broken off. */
final class Background implements Closing {
    private static final System.Logger LOG = System.getLogger("dev.tercet");

    private final Thread thread;
    private boolean closed;

    private Background(String name, Duration first, Function<Background, Duration> round) {
        thread = new Thread(() -> work(first, round), name);
        thread.setDaemon(true);
    }

    /** The round says how long to pause after it. */
    static Background start(String name, Duration first, Function<Background, Duration> round) {
        Background background = new Background(name, first, round);
        background.thread.start();
        return background;
    }

    private void work(Duration first, Function<Background, Duration> round) {
        Duration pause = first;
        while (sleep(pause)) {
            try {
                pause = round.apply(this);
            } catch (RuntimeException error) {
                LOG.log(Level.ERROR, thread.getName() + " failed, and goes on", error);
                pause = Duration.ofSeconds(1);
            }
        }
    }

    /** Sleeps; false where it was closed. */
    private synchronized boolean sleep(Duration pause) {
        long until = System.nanoTime() + pause.toNanos();
        long left = pause.toNanos();
        while (!closed && left > 0) {
            try {
                wait(left / 1_000_000, (int) (left % 1_000_000));
            } catch (InterruptedException error) {
                // Nobody else knows this thread; it ends by being closed.
                LOG.log(Level.DEBUG, "{0} was interrupted", thread.getName());
            }
            left = until - System.nanoTime();
        }
        return !closed;
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
            notifyAll();
        }
        boolean interrupted = false;
        while (thread.isAlive()) {
            try {
                thread.join();
            } catch (InterruptedException error) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
