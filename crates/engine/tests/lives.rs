//! What each statement on the rows of `nodes` does, and what a life may conclude from its own.

use tercet_engine::{Judgement, LifeRow, LifeState, Lives, judge};
use tercet_wire::Incarnation;

const LIFE: Incarnation = Incarnation(1);

fn lives() -> Lives {
    let mut lives = Lives::default();
    lives.register(LIFE, "a");
    assert!(lives.fence(LIFE, 1) && lives.fence(LIFE, 2));
    lives
}

fn row(lives: &Lives) -> Option<(LifeState, i64)> {
    lives.get(LIFE).map(|row| (row.state, row.batch_no))
}

#[test]
fn a_fence_moves_by_one_and_only_while_its_life_is_live() {
    let mut lives = lives();
    for number in [0, 1, 2, 4] {
        assert!(!lives.fence(LIFE, number), "{number}");
    }
    assert!(lives.fence(LIFE, 3) && lives.leave(LIFE, 4));
    assert!(!lives.fence(LIFE, 5) && !lives.leave(LIFE, 5));
    assert_eq!(row(&lives), Some((LifeState::Left, 4)));
    assert!(!lives.fence(Incarnation(9), 1));
}

/// Keeps P2.
#[test]
fn a_marker_changes_nothing_once_a_batch_has_come() {
    let mut lives = lives();
    assert!(!lives.mark_fenced(LIFE, 1) && !lives.mark_fenced(LIFE, 3));
    assert_eq!(row(&lives), Some((LifeState::Live, 2)));
    assert!(lives.mark_fenced(LIFE, 2) && !lives.mark_fenced(LIFE, 2));
    assert!(!lives.fence(LIFE, 3));
    assert_eq!(row(&lives), Some((LifeState::Fenced, 2)));
}

#[test]
fn a_row_ends_once_its_life_is_over_and_nothing_points_to_it() {
    let mut lives = lives();
    assert!(!lives.remove(LIFE, false));
    assert!(lives.mark_fenced(LIFE, 2));
    assert!(!lives.remove(LIFE, true) && row(&lives).is_some());
    assert!(lives.remove(LIFE, false) && row(&lives).is_none());
    assert!(!lives.remove(LIFE, false));
}

/// Keeps P2.
#[test]
fn a_life_is_fenced_only_for_cause() {
    use LifeState::{Fenced, Left, Live};
    let table = [
        (Some((Live, 5)), false, Judgement::Written),
        (Some((Live, 4)), false, Judgement::Again),
        (Some((Live, 3)), false, Judgement::LostWrites),
        (Some((Live, 6)), false, Judgement::Fenced),
        (Some((Fenced, 4)), false, Judgement::Fenced),
        (Some((Fenced, 5)), false, Judgement::Fenced),
        (Some((Fenced, 3)), false, Judgement::LostWrites),
        (Some((Left, 5)), false, Judgement::Fenced),
        (None, false, Judgement::Fenced),
        (Some((Left, 5)), true, Judgement::Written),
        (Some((Live, 4)), true, Judgement::Again),
        (Some((Live, 5)), true, Judgement::Fenced),
        (Some((Fenced, 4)), true, Judgement::Fenced),
    ];
    for (found, leaves, expected) in table {
        let row = found.map(|(state, batch_no)| LifeRow {
            incarnation: LIFE,
            node_id: "a".to_owned(),
            state,
            batch_no,
        });
        assert_eq!(judge(row.as_ref(), 5, leaves), expected, "{found:?} {leaves}");
    }
}

#[test]
fn where_one_process_has_the_rows_every_other_life_is_over() {
    let mut lives = lives();
    lives.register_alone(Incarnation(2), "a");
    assert!(!lives.fence(LIFE, 3) && lives.fence(Incarnation(2), 1));
    assert_eq!(lives.rows().count(), 1);
}

#[test]
fn a_state_is_read_as_it_is_written() {
    for state in LifeState::ALL {
        assert_eq!(LifeState::parse(state.as_str()), Some(state));
    }
    assert_eq!(LifeState::parse("dead"), None);
}
