//! The clock, the processor's meter and the alarm, read and set here and nowhere else.

#![expect(clippy::disallowed_methods, reason = "this is the door")]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// The time.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Processor time that this thread has used, its own and the kernel's for it.
pub(crate) fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    // Neither is ever negative: it counts from the thread's beginning.
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(used.tv_nsec).unwrap_or(0))
}

/// Microseconds since 1970.
pub(crate) fn micros() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000 + u64::try_from(now.tv_nsec / 1_000).unwrap_or(0)
}

/// The day, in UTC, as 2026-01-31.
pub(crate) fn today() -> String {
    let seconds = clock_gettime(ClockId::Realtime).tv_sec;
    let now = jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string();
    now.chars().take(10).collect()
}

/// Wakes a poll at a moment, to the microsecond; a poll's own timeout knows milliseconds only.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
    set_for: Option<Instant>,
}

impl Alarm {
    /// One that is not set.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { timer, set_for: None })
    }

    /// Rings at `at`, or before it if it is set for an earlier moment: whoever wakes looks
    /// what is due, and sets it anew.
    pub(crate) fn set(&mut self, at: Instant) -> io::Result<()> {
        let now = now();
        if self.set_for.is_some_and(|set| set > now && set <= at) {
            return Ok(());
        }
        // Zero would unset it.
        let pause = at.saturating_duration_since(now).max(Duration::from_nanos(1));
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: pause.subsec_nanos().into(),
        };
        let spec = Itimerspec { it_interval: once, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
        self.set_for = Some(at);
        Ok(())
    }
}
