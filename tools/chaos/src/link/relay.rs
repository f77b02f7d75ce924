//! Carries IP packets from one tunnel device to another, late, and not all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use tappers::Tun;

use super::Weather;
use crate::clock;

/// Packets under way at a time; like a router's, the queue loses what is beyond.
const UNDER_WAY: usize = 100_000;

/// Longer than any packet of these devices.
const PACKET_BYTES: usize = 65_536;

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Way {
    delay_us: AtomicU64,
    lost_per_mille: AtomicU32,
    /// Packets that were read and are not written yet.
    under_way: AtomicUsize,
}

/// A packet and when it is due at the other end.
type Due = (Instant, Vec<u8>);

impl Way {
    pub(super) fn set(&self, weather: Weather) {
        let delay = u64::try_from(weather.delay.as_micros()).unwrap_or(u64::MAX);
        self.delay_us.store(delay, Ordering::Relaxed);
        self.lost_per_mille.store(weather.lost_per_mille, Ordering::Relaxed);
    }
}

/// Begins to carry, until one of the devices is gone.
pub(super) fn carry(from: &Arc<Tun>, to: &Arc<Tun>, seed: u64) -> Arc<Way> {
    let way = Arc::new(Way::default());
    let (sender, receiver) = mpsc::sync_channel(UNDER_WAY);
    let (from, to) = (Arc::clone(from), Arc::clone(to));
    thread::spawn({
        let (way, to) = (Arc::clone(&way), Arc::clone(&to));
        move || read(&from, &to, &way, &sender, seed)
    });
    thread::spawn({
        let way = Arc::clone(&way);
        move || write(&to, &way, &receiver)
    });
    way
}

fn read(from: &Tun, to: &Tun, way: &Way, sender: &SyncSender<Due>, seed: u64) {
    let mut entropy = fastrand::Rng::with_seed(seed);
    let mut packet = vec![0; PACKET_BYTES];
    // Fails once the device has gone with its namespace.
    while let Ok(length) = from.recv(&mut packet) {
        let packet = &packet[..length];
        if entropy.u32(..1_000) < way.lost_per_mille.load(Ordering::Relaxed) {
            continue;
        }
        let delay = Duration::from_micros(way.delay_us.load(Ordering::Relaxed));
        if delay.is_zero() && way.under_way.load(Ordering::Acquire) == 0 {
            deliver(to, packet);
            continue;
        }
        way.under_way.fetch_add(1, Ordering::AcqRel);
        if sender.try_send((clock::now() + delay, packet.to_vec())).is_err() {
            way.under_way.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn write(to: &Tun, way: &Way, receiver: &Receiver<Due>) {
    for (due, packet) in receiver {
        thread::sleep(due.saturating_duration_since(clock::now()));
        deliver(to, &packet);
        way.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A device that is down takes nothing: the packet is lost, which is what being cut off means.
fn deliver(to: &Tun, packet: &[u8]) {
    let _ = to.send(packet);
}
