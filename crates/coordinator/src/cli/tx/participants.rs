//! `tercet participants`: how it stands with them, and whether they are called.

use clap::{Args, Subcommand};
use serde::Deserialize as _;
use serde_json::{Value, json};
use tercet_clock::{Clock as _, SystemClock};
use tercet_wire::{ParticipantView, ParticipantsView, PausedParticipantView, PausedView};

use crate::cli::exit::Exit;
use crate::cli::tx::arguments::{Output, Where};
use crate::cli::tx::asking::{Asks, is_meant};
use crate::cli::tx::client::{Answered, ClientError, NO_QUERY};
use crate::cli::tx::table::Table;
use crate::cli::tx::{Desk, on_runtime, refused};
use crate::escape::for_people;

/// `tercet participants`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Participants {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    at: Where,
    /// How the answer looks; json is the coordinator's own
    #[arg(short, long, value_name = "FORMAT", default_value = "text", global = true)]
    output: Output,
    /// Do not ask whether it is meant
    #[arg(long, global = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Call a participant no more, until it is resumed: its branches wait without failing
    Pause(Word),
    /// Call it again
    Resume(Word),
}

#[derive(Debug, Args)]
struct Word {
    /// Which, as host:port
    participant: String,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub(in crate::cli) fn participants(flags: Participants) -> Exit {
    let Participants { what, at, output, yes } = flags;
    if let Some(What::Pause(Word { participant, .. })) = &what
        && !yes
        && !is_meant(
            Asks::Pause,
            &format!("nobody calls {participant} from then on, until it is resumed"),
            "Pause it?",
        )
    {
        return Exit::Usage;
    }
    let now = SystemClock::start().now().wall;
    let done = on_runtime(&at, async |client| {
        let desk = Desk { client, output, now, yes };
        asked(&desk, what).await
    });
    match done {
        Ok(Ok(())) => Exit::Well,
        Ok(Err(error)) => refused(&error, output),
        Err(exit) => exit,
    }
}

async fn asked(desk: &Desk, what: Option<What>) -> Result<(), ClientError> {
    let (way, Word { participant, note }) = match what {
        None => {
            let path = ["v1", "participants"];
            let Answered { body, .. } = desk.client.get(&path, NO_QUERY).await?;
            desk.print(&body, |view: &ParticipantsView| lines(&view.items));
            return Ok(());
        }
        Some(What::Pause(word)) => ("pause", word),
        Some(What::Resume(word)) => ("resume", word),
    };
    let path = ["v1", "participants", &participant, way];
    let body: Value = match note {
        Some(note) => json!({ "note": note }),
        None => json!({}),
    };
    let Answered { body, .. } = desk.client.post(&path, NO_QUERY, Some(body)).await?;
    desk.print(&body, |view: &ParticipantView| lines(std::slice::from_ref(view)));
    if let Some(already) = already(&body) {
        desk.remark(&already);
    }
    Ok(())
}

/// What is said where nothing was changed; an older coordinator does not say whether something was.
fn already(body: &Value) -> Option<String> {
    if body["changed"] != false {
        return None;
    }
    let PausedParticipantView { participant, .. } =
        PausedParticipantView::deserialize(body).ok()?;
    let name = &participant.participant;
    Some(match &participant.paused {
        None => format!("nothing was changed: {name} was not paused"),
        Some(PausedView { by, note, at }) => {
            let note = note.as_deref().map(|note| format!(": {}", for_people(note)));
            let note = note.unwrap_or_else(|| ", without a note".to_owned());
            let by = for_people(by);
            format!(
                "nothing was changed: already paused by {by} at {at}{note}\nFor another note, resume it first."
            )
        }
    })
}

fn lines(items: &[ParticipantView]) -> Vec<String> {
    if items.is_empty() {
        return vec!["no participant was called lately, and none is paused".to_owned()];
    }
    let mut table =
        Table::new(&["PARTICIPANT", "STATE", "IN FLIGHT", "WAITING", "PARKED", "CALLS", "FAILED"]);
    let mut words = Vec::new();
    for item in items {
        let state = match &item.paused {
            Some(_) => "PAUSED".to_owned(),
            None => match serde_json::to_value(item.breaker) {
                Ok(Value::String(breaker)) if breaker != "closed" => breaker,
                _ => "called".to_owned(),
            },
        };
        table.row([
            item.participant.clone(),
            state,
            item.in_flight.to_string(),
            item.waiting.to_string(),
            item.parked.to_string(),
            item.calls.to_string(),
            item.failures.to_string(),
        ]);
        if let Some(paused) = &item.paused {
            let note = paused.note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            let (name, by, at) = (&item.participant, &paused.by, paused.at);
            words.push(format!("{name}: paused by {by} at {at}{note}"));
        }
    }
    let mut lines = table.lines();
    if !words.is_empty() {
        lines.push(String::new());
        lines.append(&mut words);
    }
    lines
}

#[cfg(test)]
mod tests {
    use tercet_wire::{AnswersView, BreakerState, Wall};

    use super::*;

    #[test]
    fn a_participant_has_a_line_and_who_paused_it_another() {
        let item = ParticipantView {
            participant: "pay:7302".to_owned(),
            in_flight: 0,
            waiting: 12,
            parked: 0,
            breaker: BreakerState::Open,
            calls: 40,
            failures: 4,
            failure_rate: 0.1,
            answers: AnswersView::default(),
            paused: None,
        };
        let by = PausedView { by: "ann".to_owned(), note: None, at: Wall(1_763_640_000_000) };
        let paused = ParticipantView { paused: Some(by), ..item.clone() };
        let expected = "\
PARTICIPANT  STATE   IN FLIGHT  WAITING  PARKED  CALLS  FAILED
pay:7302     open    0          12       0       40     4
pay:7302     PAUSED  0          12       0       40     4

pay:7302: paused by ann at 2025-11-20T12:00:00.000Z";
        assert_eq!(lines(&[item, paused]).join("\n"), expected);
    }
}
