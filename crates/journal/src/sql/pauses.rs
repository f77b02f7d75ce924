//! Participants that nobody calls.

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, QueryOrder};
use tercet_engine::ParticipantPause;
use tercet_wire::Wall;

use super::entities::pause;
use super::lenient_rows::readable;
use crate::error::JournalError;

/// All that are paused, by name. They are as few as people have paused. One whose row cannot be
/// read is told of, and called.
pub(crate) async fn all(pool: &DatabaseConnection) -> Result<Vec<ParticipantPause>, JournalError> {
    let paused = pause::Entity::find()
        .filter(pause::Column::Paused.eq(true))
        .order_by_asc(pause::Column::Participant);
    let mut all = Vec::new();
    for row in readable(pool, paused).await? {
        match row.participant.parse() {
            Ok(participant) => all.push(ParticipantPause {
                participant,
                paused: row.paused,
                at: Wall(row.at),
                who: row.who.into(),
                note: row.note.map(Into::into),
            }),
            Err(why) => tracing::error!(
                event = "row_unreadable",
                table = "participant_pauses",
                why = %why,
                "a row of the paused participants cannot be read"
            ),
        }
    }
    Ok(all)
}
