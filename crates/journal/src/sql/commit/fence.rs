//! What this life's row says when its fence changed nothing. A life is fenced only for cause.

use tercet_engine::{Judgement, LifeRow, LifeState};
use tercet_wire::Incarnation;

use super::step::{Field, Row};
use crate::store::CommitError;

/// Judges by state and last batch of this life's row. All is well if the batch happened, in an
/// earlier submission. `leaves`: whether it is the one by which this life leaves.
///
/// # Errors
/// `Again` where the row is as the fence wanted it: the look came from an older moment than the
/// fence, or the row has moved between the two. Else this life is fenced.
pub(super) fn judge(found: &[Row], number: i64, leaves: bool) -> Result<(), CommitError> {
    let row = match found.first().map(Vec::as_slice) {
        None => None,
        Some([Field::Text(state), Field::Integer(last)]) => Some((state, *last)),
        Some(_) => {
            return Err(CommitError::Again("this incarnation's row cannot be read".to_owned()));
        }
    };
    let life = row.map(|(state, batch_no)| LifeRow {
        incarnation: Incarnation(0),
        node_id: String::new(),
        // A word that is none of ours does not say that it lives.
        state: LifeState::parse(state).unwrap_or(LifeState::Fenced),
        batch_no,
    });
    let found = || match row {
        None => "this incarnation's row is gone".to_owned(),
        Some((state, last)) => format!(
            "this incarnation's row is {state} at batch {last}; batch {number} does not follow"
        ),
    };
    match tercet_engine::judge(life.as_ref(), number, leaves) {
        Judgement::Written => Ok(()),
        Judgement::Again => {
            let why = format!("the fence of batch {number} did not move, and could have");
            Err(CommitError::Again(why))
        }
        Judgement::LostWrites => Err(CommitError::Fenced(format!(
            "ALARM: the database lost acknowledged writes: {}",
            found()
        ))),
        Judgement::Fenced => Err(CommitError::Fenced(found())),
    }
}
