//! What this life's row says when its fence changed nothing. A life is fenced only for cause.

use super::step::{Field, Row};
use crate::store::CommitError;

/// Judges by state and last batch of this life's row. All is well if the batch happened, in an
/// earlier submission.
///
/// # Errors
/// `Again` where the row is as the fence wanted it: the look came from an older moment than the
/// fence, or the row has moved between the two. Else this life is fenced.
pub(super) fn judge(found: &[Row], number: i64) -> Result<(), CommitError> {
    let Some(row) = found.first() else {
        return Err(CommitError::Fenced("this incarnation's row is gone".to_owned()));
    };
    let [Field::Text(state), Field::Integer(last)] = row.as_slice() else {
        return Err(CommitError::Again("this incarnation's row cannot be read".to_owned()));
    };
    let last = *last;
    if state == "live" && last == number {
        return Ok(());
    }
    if state == "live" && last == number - 1 {
        let why = format!("the fence of batch {number} did not move, and could have");
        return Err(CommitError::Again(why));
    }
    let found = format!(
        "this incarnation's row is {state} at batch {last}; batch {number} does not follow"
    );
    if last < number - 1 {
        return Err(CommitError::Fenced(format!(
            "ALARM: the database lost acknowledged writes: {found}"
        )));
    }
    Err(CommitError::Fenced(found))
}
