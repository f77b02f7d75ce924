//! Log lines on their way to stderr. Whoever logs never waits for whoever reads: a pipe that nobody
//! empties blocks the thread of this queue and nothing else. What does not fit is lost, and counted.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tercet_wire::metric;

/// Bytes of lines that wait.
const MOST_BYTES: usize = 4 * 1_048_576;
/// Bytes written at once, unless a single line has more.
const CHUNK_BYTES: usize = 64 * 1_024;
/// How long a pipe that is full and does not block is left alone.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// Lines that wait to be written.
#[derive(Debug, Clone)]
pub(super) struct LogQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// All is written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// Of these and of those being written.
    bytes: usize,
    lost: u64,
}

impl LogQueue {
    /// A queue whose lines a thread of its own writes.
    ///
    /// # Errors
    /// The thread could not be started.
    pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let queue = Self { shared: Arc::clone(&shared) };
        // It ends with the process: a pipe that blocks would keep it for ever.
        thread::Builder::new().name("tercet-log".to_owned()).spawn(move || shared.write(to))?;
        Ok(queue)
    }

    /// Takes a line in, if there is room.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut waiting = self.shared.lock();
        if waiting.bytes.saturating_add(line.len()) > MOST_BYTES {
            waiting.lose(1);
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line);
        drop(waiting);
        self.shared.filled.notify_one();
    }

    /// How many were lost since this was last asked.
    pub(super) fn take_lost(&self) -> u64 {
        std::mem::take(&mut self.shared.lock().lost)
    }

    /// Waits until all is written, for so long at most.
    pub(super) fn finish(&self, within: Duration) {
        let waiting = self.shared.lock();
        // Whether all is written or the time is up, there is nothing more to be done.
        let _ = self.shared.emptied.wait_timeout_while(waiting, within, |left| left.bytes > 0);
    }
}

impl Waiting {
    fn lose(&mut self, lines: u64) {
        self.lost += lines;
        metrics::counter!(metric::LOG_LINES_DROPPED).increment(lines);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // It is whole after every statement.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut to: impl Write) {
        loop {
            let (chunk, lines) = self.next_chunk();
            let is_written = write_all(&mut to, &chunk).is_ok();
            let mut waiting = self.lock();
            waiting.bytes -= chunk.len();
            if !is_written {
                waiting.lose(lines);
            }
            if waiting.bytes == 0 {
                self.emptied.notify_all();
            }
        }
    }

    /// Waits for lines, and takes as many as are written at once.
    fn next_chunk(&self) -> (Vec<u8>, u64) {
        let waiting = self.lock();
        let mut waiting = self
            .filled
            .wait_while(waiting, |waiting| waiting.lines.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let (mut chunk, mut lines) = (Vec::new(), 0);
        while let Some(line) = waiting
            .lines
            .pop_front_if(|line| chunk.is_empty() || chunk.len() + line.len() <= CHUNK_BYTES)
        {
            chunk.extend(line);
            lines += 1;
        }
        (chunk, lines)
    }
}

/// As the standard library's, but for a pipe that somebody has set not to block.
fn write_all(to: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Writes into a channel, once it may.
    struct Gate {
        open: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A test that has ended opens it.
            let _ = self.open.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Keeps P9.
    #[test]
    fn whoever_logs_does_not_wait_and_what_is_lost_is_counted() {
        let (open, opened) = mpsc::channel();
        let (written, seen) = mpsc::channel();
        let queue = LogQueue::start(Gate { open: opened, written }).expect("a thread");
        let line = vec![b'x'; 1_024];
        // Nobody reads, so that this would never end if it waited.
        (0..10_000).for_each(|_| queue.push(line.clone()));
        assert_eq!(queue.take_lost(), 10_000 - (MOST_BYTES / line.len()) as u64);
        queue.finish(Duration::from_millis(1));
        // Somebody reads again: what was taken in is written, and there is room.
        drop(open);
        queue.finish(PATIENCE);
        assert_eq!(seen.try_iter().map(|chunk| chunk.len()).sum::<usize>(), MOST_BYTES);
        queue.push(line);
        assert_eq!(queue.take_lost(), 0);
    }

    /// Nobody is there any more.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_reason_to_stop() {
        let queue = LogQueue::start(Gone).expect("a thread");
        for _ in 0..3 {
            queue.push(b"a line\n".to_vec());
            queue.finish(PATIENCE);
        }
        assert_eq!(queue.take_lost(), 3);
    }
}
