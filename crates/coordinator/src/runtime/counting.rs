//! Questions about all live transactions. To answer one means to look at each of them, so those of a
//! round are answered together: whoever asks often holds up nobody for longer than one look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tercet_engine::{Census, WaitingFor};
use tokio::sync::oneshot;

use crate::runtime::handle::Waits;

/// Who has asked in this round.
#[derive(Debug, Default)]
pub(super) struct Counting {
    censuses: Vec<oneshot::Sender<Census>>,
    participants: BTreeSet<String>,
    waits: Vec<oneshot::Sender<Waits>>,
}

impl Counting {
    /// Somebody asks how many there are.
    pub(super) fn census(&mut self, reply: oneshot::Sender<Census>) {
        self.censuses.push(reply);
    }

    /// Somebody asks who waits for these participants.
    pub(super) fn waits(&mut self, mut of: BTreeSet<String>, reply: oneshot::Sender<Waits>) {
        self.participants.append(&mut of);
        self.waits.push(reply);
    }

    /// Answers them all. Whoever has hung up meanwhile misses it.
    pub(super) fn answer(
        &mut self,
        census: impl FnOnce() -> Census,
        waiting_for: impl FnOnce(&BTreeSet<String>) -> BTreeMap<String, WaitingFor>,
    ) {
        if !self.censuses.is_empty() {
            let census = census();
            for reply in self.censuses.drain(..) {
                let _ = reply.send(census.clone());
            }
        }
        if !self.waits.is_empty() {
            let waits = Arc::new(waiting_for(&std::mem::take(&mut self.participants)));
            for reply in self.waits.drain(..) {
                let _ = reply.send(Arc::clone(&waits));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That each is counted once is in the type.
    ///
    /// Keeps P6.
    #[test]
    fn whoever_asks_in_one_round_is_answered_by_one_look() {
        let mut counting = Counting::default();
        counting.answer(|| panic!("nobody asked"), |_| panic!("nobody asked"));
        let (census, mut counted) = oneshot::channel();
        counting.census(census);
        let mut answers = Vec::new();
        for number in 0..100 {
            let (reply, answer) = oneshot::channel();
            let names = [format!("h{number}:80"), "h0:80".to_owned()];
            counting.waits(names.clone().into(), reply);
            answers.push((names, answer));
        }
        let waits = |participants: &BTreeSet<String>| {
            assert_eq!(participants.len(), 100);
            participants.iter().map(|name| (name.clone(), WaitingFor::default())).collect()
        };
        counting.answer(|| Census { paged_out: 7, ..Census::default() }, waits);
        assert_eq!(counted.try_recv().map(|census| census.paged_out), Ok(7));
        for (names, mut answer) in answers {
            let answer = answer.try_recv().expect("an answer");
            assert!(names.iter().all(|name| answer.contains_key(name)), "{names:?}");
        }
        counting.answer(|| panic!("all are answered"), |_| panic!("all are answered"));
    }
}
