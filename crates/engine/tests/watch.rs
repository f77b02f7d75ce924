//! Whose life is over, as one node sees it; how what it drove is shared out; and the course of a
//! take-over. Tables of rows and times.

use std::time::Duration;

use tercet_engine::{
    LifeRow, LifeState, Look, MOST_IN_CHUNK, NodeWatch, NodeWatchSettings, Share, Suspect,
    SuspectedFor, TakeOver, TakeOverAnswer, TakeOverStep,
};
use tercet_wire::{Gid, Incarnation, Mono};

const OWN: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);

fn watch() -> NodeWatch {
    NodeWatch::new(NodeWatchSettings {
        own: OWN,
        node_id: "a".to_owned(),
        lease: Duration::from_secs(2),
        namesake: Duration::from_secs(1),
    })
}

fn row(incarnation: i64, node_id: &str, state: LifeState, batch_no: i64) -> LifeRow {
    LifeRow { incarnation: Incarnation(incarnation), node_id: node_id.to_owned(), state, batch_no }
}

fn live(incarnation: i64, batch_no: i64) -> LifeRow {
    row(incarnation, &format!("node-{incarnation}"), LifeState::Live, batch_no)
}

/// Looks of which each is given as its time, this life's last batch and the other's; none where
/// the look failed. Returns for each whether the other is suspected.
fn suspected(looks: &[(u64, Option<(i64, i64)>)]) -> Vec<bool> {
    let mut watch = watch();
    let look = |(at, seen): &(u64, Option<(i64, i64)>)| match seen {
        Some((own, other)) => {
            let rows = [live(1, *own), live(2, *other)];
            !watch.look(&rows, Mono(*at), Mono(*at)).suspects.is_empty()
        }
        None => {
            watch.failed();
            false
        }
    };
    looks.iter().map(look).collect()
}

/// Keeps P8.
#[test]
fn a_life_is_suspected_when_it_was_silent_for_a_lease() {
    let looks: Vec<_> =
        (0..6).map(|n| (n * 500, Some((i64::try_from(n).expect("it is there"), 7)))).collect();
    assert_eq!(suspected(&looks), [false, false, false, false, true, true]);
    let mut watch = watch();
    for n in 0..4 {
        let at = Mono(u64::try_from(n).expect("it is there") * 500);
        assert!(watch.look(&[live(1, n), live(2, 7)], at, at).suspects.is_empty());
    }
    let look = watch.look(&[live(1, 4), live(2, 7), live(3, 9)], Mono(2_000), Mono(2_000));
    let why = SuspectedFor::Silence { batch_no: 7 };
    let suspect = Suspect { incarnation: OTHER, node_id: "node-2".to_owned(), why };
    // The batch that was seen is what the marker compares with.
    let survivors = vec![OWN, Incarnation(3)];
    assert_eq!(look, Look { suspects: vec![suspect], survivors });
}

/// A dead node's transactions wait for nobody's beat.
#[test]
fn the_next_look_comes_when_a_silence_has_lasted_for_long_enough() {
    const BEAT: Duration = Duration::from_millis(500);
    let next = |watch: &NodeWatch, asked| watch.next_look(Mono(asked), BEAT);
    let mut watch = watch();
    assert_eq!(next(&watch, 0), Mono(500), "nobody else is there");
    // Answered late, so that looks every beat would find 1 990 ms of silence, and then 2 490.
    let mut asked = 0;
    let mut answered = 10;
    for own in 0.. {
        let look = watch.look(&[live(1, own), live(2, 7)], Mono(asked), Mono(answered));
        if !look.suspects.is_empty() {
            break;
        }
        let then = next(&watch, asked).0;
        assert!(then <= asked + 750 && then >= asked + 250, "{asked}: {then}");
        asked = then;
        answered = then;
    }
    assert_eq!(asked, 2_010, "a lease after the first look was answered");
    // Who is suspected already is waited for no more.
    assert_eq!(next(&watch, asked), Mono(2_510));
}

/// Looks that follow each other too closely find nothing new of this node itself, and then no time counts.
#[test]
fn the_next_look_is_no_sooner_than_half_a_beat() {
    let mut watch = watch();
    for (own, at) in [(0, 0), (1, 500), (2, 1_000), (3, 1_700)] {
        watch.look(&[live(1, own), live(2, 7)], Mono(at), Mono(at));
    }
    assert_eq!(watch.next_look(Mono(1_700), Duration::from_millis(800)), Mono(2_100));
}

#[test]
fn a_batch_ends_a_silence() {
    let looks = [
        (0, Some((0, 7))),
        (1_000, Some((1, 7))),
        (1_900, Some((2, 7))),
        (2_400, Some((3, 8))),
        (3_400, Some((4, 8))),
        (4_300, Some((5, 8))),
        (4_400, Some((6, 8))),
    ];
    assert_eq!(suspected(&looks), [false, false, false, false, false, false, true]);
}

/// The rows are of any moment between a look's being asked for and its answer, and nothing more
/// is known of it.
///
/// Keeps P8.
#[test]
fn a_slow_look_adds_to_no_silence() {
    // Each look as when it was asked for, when it was answered, and the other's last batch.
    let suspected = |looks: &[(u64, u64, i64)]| {
        let mut watch = watch();
        let look = |(own, (asked, answered, other)): (i64, &(u64, u64, i64))| {
            let rows = [live(1, own), live(2, *other)];
            !watch.look(&rows, Mono(*asked), Mono(*answered)).suspects.is_empty()
        };
        (0..).zip(looks).map(look).collect::<Vec<bool>>()
    };
    // The first has seen the batch 1 ms before its answer, perhaps.
    let slow = [(0, 900, 7), (900, 901, 7), (1_900, 1_901, 7), (2_899, 2_900, 7)];
    assert_eq!(suspected(&slow), [false; 4]);
    let longer = [&slow[..], &[(2_900, 2_901, 7)]].concat();
    assert_eq!(suspected(&longer).last(), Some(&true));
    // So it is with a batch in the midst of it, and where looks meet.
    let moved =
        [(0, 1, 6), (500, 1_400, 7), (1_400, 1_401, 7), (2_400, 2_401, 7), (3_399, 3_400, 7)];
    assert_eq!(suspected(&moved), [false; 5]);
    let meet = [(0, 1_000, 7), (500, 1_001, 7), (1_500, 1_501, 7), (2_500, 2_501, 7)];
    assert_eq!(suspected(&meet), [false; 4]);
    // If all are slow, what passes between the first answer and the last question counts.
    let all = [(0, 500, 7), (500, 1_000, 7), (1_000, 1_500, 7), (1_500, 2_000, 7)];
    assert_eq!(suspected(&all), [false; 4]);
    let longer = [&all[..], &[(2_000, 2_500, 7), (2_500, 3_000, 7)]].concat();
    assert_eq!(suspected(&longer), [false, false, false, false, false, true]);
    // And a slow look from which on it counts again.
    let mut watch = watch();
    let rows = |own| [live(1, own), live(2, 7)];
    watch.look(&rows(0), Mono(0), Mono(1));
    watch.failed();
    watch.look(&rows(1), Mono(500), Mono(1_400));
    for (own, at) in (2..).zip([1_400, 2_400, 3_399]) {
        assert!(watch.look(&rows(own), Mono(at), Mono(at + 1)).suspects.is_empty(), "{at}");
    }
}

/// A database that takes no writes, or answers nobody, silences everybody.
///
/// Keeps P8.
#[test]
fn time_counts_only_while_own_batches_get_through() {
    // Read, but nothing written.
    let stuck: Vec<_> = (0..20).map(|n| (n * 500, Some((3, 7)))).collect();
    assert!(!suspected(&stuck).contains(&true));
    // Not even read; then all is well again, and the other has not had its turn yet.
    let mut outage = vec![(0, Some((0, 7))), (500, Some((1, 7))), (1_000, Some((2, 7)))];
    outage.extend((3..20).map(|n| (n * 500, None)));
    outage.push((10_000, Some((3, 7))));
    assert!(!suspected(&outage).contains(&true));
    // From there on it counts.
    outage.extend([(10_500, Some((4, 7))), (11_000, Some((5, 7)))]);
    assert_eq!(suspected(&outage)[20..], [false, false, true]);
}

#[test]
fn who_was_away_itself_has_seen_a_second_at_most() {
    let looks = [(0, Some((0, 7))), (60_000, Some((1, 7))), (60_500, Some((2, 7)))];
    assert_eq!(suspected(&looks), [false, false, false]);
    let mut longer = looks.to_vec();
    longer.push((61_000, Some((3, 7))));
    assert_eq!(suspected(&longer).last(), Some(&true));
}

#[test]
fn who_may_not_write_suspects_nobody() {
    for own in [None, Some(LifeState::Fenced), Some(LifeState::Left)] {
        let mut rows = vec![row(2, "b", LifeState::Left, 3)];
        rows.extend(own.map(|state| row(1, "a", state, 5)));
        assert_eq!(watch().look(&rows, Mono(0), Mono(0)), Look::default(), "{own:?}");
    }
}

#[test]
fn a_row_that_says_so_is_taken_over_without_a_lease() {
    let rows = [live(1, 0), row(2, "b", LifeState::Left, 3), row(3, "c", LifeState::Fenced, 4)];
    let look = watch().look(&rows, Mono(0), Mono(0));
    let why: Vec<_> = look.suspects.iter().map(|suspect| suspect.why).collect();
    assert_eq!(why, [SuspectedFor::Left, SuspectedFor::Fenced]);
    assert_eq!(look.survivors, [OWN]);
}

#[test]
fn an_earlier_life_of_the_same_node_is_given_less_time() {
    let mut watch = watch();
    let mut look = |n: i64| {
        let rows = [row(1, "a", LifeState::Live, n), row(2, "a", LifeState::Live, 7)];
        let at = Mono(u64::try_from(n).expect("it is there") * 500);
        let look = watch.look(&rows, at, at);
        look.suspects.into_iter().map(|suspect| suspect.why).next()
    };
    let seen = [look(0), look(1), look(2)];
    assert_eq!(seen, [None, None, Some(SuspectedFor::Silence { batch_no: 7 })]);
}

fn gid(text: &str) -> Gid {
    text.parse().expect("an id")
}

fn gids(count: usize) -> Vec<Gid> {
    (0..count).map(|number| gid(&format!("order-{number:05}"))).collect()
}

#[test]
fn shares_are_the_same_everywhere_and_leave_nobody_out() {
    let three = [Incarnation(30), Incarnation(-5), Incarnation(7)];
    let shares: Vec<Share> =
        three.iter().map(|own| Share::of(*own, &three).expect("it is there")).collect();
    let held: Vec<usize> = shares
        .iter()
        .map(|share| gids(3_000).iter().filter(|gid| share.holds(gid)).count())
        .collect();
    assert_eq!(held.iter().sum::<usize>(), 3_000);
    assert!(held.iter().all(|held| (900..1_100).contains(held)), "{held:?}");
    // Which share a gid is in never changes, in no version: nodes of two versions share out too.
    let place =
        |text: &str| shares.iter().position(|share| share.holds(&gid(text))).expect("it is there");
    let places = ["order-1", "order-2", "order-3", "order-4", "order-5", "order-6"].map(place);
    assert_eq!(places, PINNED);
    assert_eq!(Share::of(Incarnation(8), &three), None);
}

/// Of `order-1` and so on, among three.
const PINNED: [usize; 6] = [1, 2, 2, 0, 1, 1];

/// A dead life's transactions, and what becomes of a take-over of them.
struct Dead {
    undecided: Vec<Gid>,
    decided: Vec<Gid>,
    chunks: Vec<Vec<Gid>>,
}

impl Dead {
    fn answer(&mut self, step: TakeOverStep) -> TakeOverAnswer {
        match step {
            TakeOverStep::Mark { .. } => TakeOverAnswer::Marked(true),
            TakeOverStep::Find { undecided, after } => {
                let mut all = self.undecided.clone();
                all.extend(self.decided.iter().filter(|_| !undecided).cloned());
                all.sort();
                let page =
                    all.into_iter().filter(|gid| after.as_ref().is_none_or(|after| gid > after));
                TakeOverAnswer::Found(page.take(700).collect())
            }
            TakeOverStep::Take { gids } => {
                self.undecided.retain(|gid| !gids.contains(gid));
                self.decided.retain(|gid| !gids.contains(gid));
                self.chunks.push(gids);
                TakeOverAnswer::Taken
            }
            TakeOverStep::Remove => TakeOverAnswer::Removed(true),
        }
    }
}

fn suspect(why: SuspectedFor) -> Suspect {
    Suspect { incarnation: OTHER, node_id: "b".to_owned(), why }
}

#[test]
fn a_take_over_takes_its_share_first_what_is_undecided_before_the_rest() {
    let all = gids(2_400);
    let (undecided, decided) = all.split_at(1_200);
    let mut dead =
        Dead { undecided: undecided.to_vec(), decided: decided.to_vec(), chunks: vec![] };
    let share = Share::of(OWN, &[OWN, Incarnation(3)]).expect("it is there");
    let mut take_over = TakeOver::new(&suspect(SuspectedFor::Silence { batch_no: 4 }), Some(share));
    let mut steps = Vec::new();
    while let Some(step) = take_over.step() {
        steps.push(step.clone());
        let answer = dead.answer(step);
        take_over.answered(answer);
    }
    assert_eq!(steps.first(), Some(&TakeOverStep::Mark { batch_no: 4 }));
    assert_eq!(steps.last(), Some(&TakeOverStep::Remove));
    assert!(dead.chunks.iter().all(|chunk| chunk.len() <= MOST_IN_CHUNK && chunk.is_sorted()));
    let rank = |gid: &Gid| match (share.holds(gid), undecided.contains(gid)) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    };
    let ranks: Vec<i32> = dead.chunks.iter().flatten().map(rank).collect();
    assert!(ranks.is_sorted(), "taken out of turn");
    assert_eq!(ranks.len(), 2_400);
}

#[test]
fn a_take_over_ends_where_its_marker_finds_the_row_moved_or_anything_fails() {
    let mut moved = TakeOver::new(&suspect(SuspectedFor::Silence { batch_no: 4 }), None);
    moved.answered(TakeOverAnswer::Marked(false));
    assert_eq!(moved.step(), None);
    for answers in 0..4 {
        let mut dead = Dead { undecided: gids(3), decided: vec![], chunks: vec![] };
        let mut failed = TakeOver::new(&suspect(SuspectedFor::Silence { batch_no: 4 }), None);
        for _ in 0..answers {
            let step = failed.step().expect("it is there");
            failed.answered(dead.answer(step));
        }
        failed.answered(TakeOverAnswer::Failed);
        assert_eq!(failed.step(), None);
    }
    // Who has left needs no marker, and who drove nothing is gone at once.
    let left = TakeOver::new(&suspect(SuspectedFor::Left), None);
    assert_eq!(left.step(), Some(TakeOverStep::Find { undecided: true, after: None }));
}
