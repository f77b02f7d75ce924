//! Whether what was told, what the coordinator says in the end and what stands in the
//! participants' books is one and the same.

use std::collections::BTreeMap;

use crate::books::{Balance, Entries, PRICE, purse};
use crate::load::{End, InitiatorLog, Shape};

/// What the coordinator says of a transaction in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) instance: String,
    /// `None` if it is not finished.
    pub(crate) end: Option<End>,
}

/// The books compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Transactions that were begun.
    pub(crate) begun: usize,
    pub(crate) confirmed: usize,
    /// Those that all three participants and the coordinator tell in the same way.
    pub(crate) right: usize,
    /// Those of which something was acknowledged that was not so afterwards.
    pub(crate) lost: usize,
    /// Every sum that is off.
    pub(crate) sums: Vec<String>,
    /// What is wrong with each transaction that is not right, in words.
    pub(crate) wrong: Vec<String>,
}

impl Verdict {
    /// Whether everything is as it must be.
    pub(crate) fn is_clean(&self) -> bool {
        self.right == self.begun && self.lost == 0 && self.sums.is_empty()
    }

    /// Compares everything; `pieces` were in stock at the beginning.
    pub(crate) fn of(
        logs: &[InitiatorLog],
        known: &BTreeMap<String, Known>,
        entries: &Entries,
        (shape, pieces): (Shape, i64),
    ) -> Self {
        let mut verdict = Self { begun: logs.len(), ..Self::default() };
        let mut sold = 0;
        for ledger in logs {
            let known = known.get(&ledger.gid);
            let confirmed = known.is_some_and(|known| known.end == Some(End::Confirmed));
            verdict.confirmed += usize::from(confirmed);
            sold += i64::from(confirmed);
            let lost = losses(ledger, known);
            verdict.lost += usize::from(!lost.is_empty());
            let wrong = [lost, differences(ledger, known, entries, shape)].concat();
            if wrong.is_empty() {
                verdict.right += 1;
            } else {
                verdict.wrong.push(format!("{}: {}", ledger.gid, wrong.join("; ")));
            }
        }
        let begun: std::collections::BTreeSet<&String> =
            logs.iter().map(|ledger| &ledger.gid).collect();
        let strangers = entries.guards.iter().flat_map(BTreeMap::keys);
        for gid in strangers.filter(|gid| !begun.contains(gid)) {
            verdict.sums.push(format!("{gid} was called for and never begun"));
        }
        verdict.sum("stock", entries.stock, pieces - sold);
        verdict.sum("account", entries.account, purse() - sold * PRICE);
        verdict
    }

    fn sum(&mut self, name: &str, Balance { free, promised }: Balance, should_be: i64) {
        if free != should_be {
            self.sums.push(format!("{name}: {free} left, should be {should_be}"));
        }
        if promised != 0 {
            self.sums.push(format!("{name}: {promised} still promised"));
        }
    }
}

/// What was acknowledged and is not so.
fn losses(ledger: &InitiatorLog, known: Option<&Known>) -> Vec<String> {
    let mut losses = ledger.contradictions.clone();
    match (&ledger.instance, known) {
        (Some(_), None) => losses.push("acknowledged, then not known".to_owned()),
        (Some(told), Some(known)) if *told != known.instance => {
            losses.push(format!("acknowledged as {told}, in the end {}", known.instance));
        }
        (Some(_), Some(_)) | (None, _) => {}
    }
    if let (Some(told), Some(Known { end: Some(end), .. })) = (ledger.decision, known)
        && told != *end
    {
        losses.push(format!("told {told:?}, in the end {end:?}"));
    }
    losses
}

/// Where coordinator and participants tell different logs.
fn differences(
    ledger: &InitiatorLog,
    known: Option<&Known>,
    entries: &Entries,
    shape: Shape,
) -> Vec<String> {
    let mut differences = Vec::new();
    let Some(Known { instance, end: Some(end) }) = known else {
        return vec!["not finished".to_owned()];
    };
    if ledger.finished.is_none() {
        differences.push("its initiator was never told the end".to_owned());
    }
    let (state, order) = match end {
        End::Confirmed => ("confirmed", "placed"),
        End::Cancelled => ("cancelled", "void"),
    };
    // A step of a saga behind one that was refused was never called; and none behind that.
    let mut skipped = false;
    for (name, guards) in ["order", "inventory", "payment"].into_iter().zip(&entries.guards) {
        match guards.get(&ledger.gid) {
            None if shape == Shape::Saga && *end == End::Cancelled => skipped = true,
            Some(found) if skipped => {
                differences.push(format!("{name} was not to be called, and has {found:?}"));
            }
            Some(guarded) if guarded.state == state && guarded.instance == *instance => {}
            found => differences.push(format!("{state}, but {name} has {found:?}")),
        }
    }
    match entries.orders.get(&ledger.gid) {
        // An order that was never tried was never written.
        None if *end == End::Cancelled => {}
        Some(status) if status == order => {}
        found => differences.push(format!("{state}, but the order is {found:?}")),
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Guarded;
    use crate::clock;

    const PIECES: i64 = 10;

    /// One transaction that everybody tells in the same way.
    struct Scene {
        ledger: InitiatorLog,
        known: Option<Known>,
        entries: Entries,
        shape: Shape,
    }

    fn scene(end: End) -> Scene {
        let now = clock::now();
        let mut ledger = InitiatorLog::new("load-1".to_owned(), now);
        ledger.finished = Some(now);
        ledger.instance = Some("i".to_owned());
        ledger.decision = Some(end);
        let (state, order, sold) = match end {
            End::Confirmed => ("confirmed", "placed", 1),
            End::Cancelled => ("cancelled", "void", 0),
        };
        let guarded = Guarded { instance: "i".to_owned(), state: state.to_owned() };
        let guard = BTreeMap::from([("load-1".to_owned(), guarded)]);
        let entries = Entries {
            guards: [guard.clone(), guard.clone(), guard],
            orders: BTreeMap::from([("load-1".to_owned(), order.to_owned())]),
            stock: Balance { free: PIECES - sold, promised: 0 },
            account: Balance { free: purse() - sold * PRICE, promised: 0 },
        };
        let known = Some(Known { instance: "i".to_owned(), end: Some(end) });
        Scene { ledger, known, entries, shape: Shape::Tcc }
    }

    impl Scene {
        fn verdict(&self) -> Verdict {
            let known = self.known.clone().map(|known| (self.ledger.gid.clone(), known));
            let logs = std::slice::from_ref(&self.ledger);
            Verdict::of(logs, &known.into_iter().collect(), &self.entries, (self.shape, PIECES))
        }
    }

    #[test]
    fn what_everybody_tells_in_the_same_way_is_right() {
        for end in [End::Confirmed, End::Cancelled] {
            let verdict = scene(end).verdict();
            assert!(verdict.is_clean(), "{verdict:?}");
            assert_eq!(verdict.confirmed, usize::from(end == End::Confirmed));
        }
        let mut untried = scene(End::Cancelled);
        untried.entries.orders.clear();
        assert!(untried.verdict().is_clean());
    }

    #[test]
    fn whatever_differs_is_found() {
        type Spoil = fn(&mut Scene);
        let table: [(&str, Spoil, usize); 10] = [
            ("lost altogether", |s| s.known = None, 1),
            ("another life", |s| s.known.iter_mut().for_each(|k| k.instance = "j".into()), 1),
            ("another decision", |s| s.ledger.decision = Some(End::Cancelled), 1),
            ("contradicted", |s| s.ledger.contradictions.push("so it was".into()), 1),
            ("not finished", |s| s.known.iter_mut().for_each(|k| k.end = None), 0),
            ("never told", |s| s.ledger.finished = None, 0),
            ("done by halves", |s| s.entries.guards[1].clear(), 0),
            ("order missing", |s| s.entries.orders.clear(), 0),
            ("still reserved", |s| s.entries.stock.promised = 1, 0),
            ("paid twice", |s| s.entries.account.free -= PRICE, 0),
        ];
        for (name, spoil, lost) in table {
            let mut scene = scene(End::Confirmed);
            spoil(&mut scene);
            let verdict = scene.verdict();
            assert!(!verdict.is_clean(), "{name}");
            assert_eq!(verdict.lost, lost, "{name}: {verdict:?}");
        }
    }

    #[test]
    fn of_a_saga_the_steps_behind_a_refused_one_are_never_called() {
        let called = |which: [bool; 3], shape| {
            let mut scene = Scene { shape, ..scene(End::Cancelled) };
            let guards = scene.entries.guards.iter_mut().zip(which);
            guards.filter(|(_, called)| !called).for_each(|(guard, _)| guard.clear());
            scene.verdict().is_clean()
        };
        for which in [[true, true, false], [true, false, false], [false; 3]] {
            assert!(called(which, Shape::Saga), "{which:?}");
            assert!(!called(which, Shape::Tcc), "{which:?}");
        }
        assert!(!called([true, false, true], Shape::Saga), "one behind the one that was skipped");
    }

    #[test]
    fn a_call_for_what_was_never_begun_is_found() {
        let mut scene = scene(End::Confirmed);
        let guarded = scene.entries.guards[0]["load-1"].clone();
        scene.entries.guards[0].insert("load-2".to_owned(), guarded);
        assert!(!scene.verdict().is_clean());
    }
}
