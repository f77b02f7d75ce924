package dev.tercet;

import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/**
 * The queue before SQLite's one writer.
 *
 * <p>SQLite lets one transaction write at a time. Those who meet at its lock do not queue: each looks again and again, with a
 * connection in its hand, and who comes last may go first. Here a single thread does the writing of this process, in the
 * order in which it was asked, so that on a slow machine everybody is slow and nobody fails. Other databases let many write
 * at once; there nobody comes here.
 */
final class WriteQueue {
    /** How many calls may wait: more than the coordinator calls at once. */
    static final int WAITING_AT_MOST = 1_024;

    /** The guard and an outbox know nothing of each other, but they are given one DataSource, and write to one file. */
    private static final Map<DataSource, WriteQueue> QUEUES = Collections.synchronizedMap(new WeakHashMap<>());

    private final Semaphore places = new Semaphore(WAITING_AT_MOST);
    private final ThreadPoolExecutor writer;
    private volatile Thread thread;

    private WriteQueue() {
        writer = new ThreadPoolExecutor(1, 1, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), work -> {
            Thread made = new Thread(work, "tercet-writer");
            made.setDaemon(true);
            thread = made;
            return made;
        });
        writer.allowCoreThreadTimeOut(true);
    }

    /** The queue before what this leads to; one for all who were given the same. */
    static WriteQueue before(DataSource source) {
        return QUEUES.computeIfAbsent(source, given -> new WriteQueue());
    }

    /** Hands over a call, behind those who came before; false where too many wait already. */
    boolean offer(Runnable call) {
        if (!places.tryAcquire()) {
            return false;
        }
        writer.execute(() -> {
            places.release();
            call.run();
        });
        return true;
    }

    /** Waits until this has been done in its turn. For those whose number is bounded by something else. */
    <T> T run(Callable<T> work) throws Exception {
        if (Thread.currentThread() == thread) {
            return work.call();
        }
        FutureTask<T> task = new FutureTask<>(work);
        writer.execute(task);
        try {
            return task.get();
        } catch (ExecutionException error) {
            if (error.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw error;
        }
    }
}
