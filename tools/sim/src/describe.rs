//! Events in few words, for those who read what a seed did.

use tercet_engine::{
    Ask, CapacityFreed, Change, Commands, Event, Input, Load, Record, Reply, Ticket,
};
use tercet_wire::{Answer, BranchSpec};

pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Sync(_) => "sync".to_owned(),
        Event::Fenced => "fenced".to_owned(),
        Event::Journal { healthy } => format!("journal healthy: {healthy}"),
        Event::Input(input) => match input {
            Input::Request(request) => {
                let ask = match &request.ask {
                    Ask::Begin { spec, fresh } => {
                        format!(
                            "begin {} of {} branches, fresh {fresh}",
                            spec.fingerprint.as_str(),
                            spec.branches.len()
                        )
                    }
                    Ask::Register(new) => format!("register {}", new.id),
                    Ask::RegisterAtOnce(new) => format!("register {}", ids(new.iter())),
                    Ask::Confirm => "confirm".to_owned(),
                    Ask::Cancel { .. } => "cancel".to_owned(),
                    Ask::DecideHeld(held) => format!("{} although it is held", held.op),
                    Ask::Read => "read".to_owned(),
                    Ask::Retry { .. } => "retry".to_owned(),
                    Ask::Readdress(word) => format!("readdress {}", word.branch),
                    Ask::Resolve(word) => format!("resolve {} as {}", word.branch, word.as_),
                    Ask::OfJob(act) => format!("{:?} by job {}", act.does, act.job),
                };
                let (to, wait) = (request.reply_to.0, request.wait);
                format!("#{to} {}: {ask}, {:?} until {}", request.gid, wait.until, wait.give_up.0)
            }
            Input::Answered(of, answer) => format!("{}: {}", ticket(of), summary(answer)),
            Input::NotSent(of, Some(at)) => format!("{}: no room at {at}", ticket(of)),
            Input::NotSent(of, None) => format!("{}: no room here", ticket(of)),
            Input::CapacityFreed(freed) => {
                let CapacityFreed { destination, places, healed } = freed;
                format!("{destination} has room for {places}, healed: {healed}")
            }
            Input::PageOfGids(gids) => format!("swept {gids:?}"),
            Input::Loaded(gid, load) => match load {
                Load::Nothing => format!("{gid} loaded: nothing"),
                Load::Found(stored) => format!("{gid} loaded: {}", stored.status),
                Load::Elsewhere(owner) => format!("{gid} loaded: driven by {}", owner.0),
                Load::Failed => format!("{gid} loaded: failed"),
                Load::Unreadable { why } => format!("{gid} loaded: {why}"),
            },
            Input::TakingOver { dead, gids } => format!("taking over from {}: {gids:?}", dead.0),
            Input::TakenOver(gids) => format!("taken over: {gids:?}"),
            Input::Adopt(stored) => format!("{} adopted: {}", stored.spec.gid, stored.status),
            Input::Durable(seq) => format!("durable up to {}", seq.0),
            Input::Exists(gid) => format!("{gid} exists"),
            Input::Quarantined(gid) => format!("{gid} quarantined by the journal"),
            Input::HungUp(gid, who) => format!("{gid}: {} hangs up", who.0),
            Input::Paused(participants) => format!("paused: {participants:?}"),
            Input::NobodyWaitsBeyond(moment) => format!("nobody waits beyond {}", moment.0),
            Input::Release => "released".to_owned(),
            Input::Tick => "tick".to_owned(),
        },
    }
}

pub(crate) fn commands(commands: &Commands, records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(record).collect();
    lines.extend(commands.calls.iter().map(|call| format!("call {}", ticket(&call.ticket))));
    let replies = commands.replies.iter();
    lines.extend(replies.map(|(to, told)| format!("reply #{} {}", to.0, reply(told))));
    lines.extend(commands.notify_when_free.iter().map(|at| format!("await room at {at}")));
    lines.extend(
        commands.page_requests.iter().map(|sweep| format!("sweep after {:?}", sweep.after)),
    );
    lines.extend(commands.retract.iter().map(|of| format!("retract {}", ticket(of))));
    lines.extend(commands.loads.iter().map(|gid| format!("load {gid}")));
    lines
}

pub(crate) fn ticket(of: &Ticket) -> String {
    format!("{}/{} {} {} (life {})", of.gid, of.branch, of.op, of.attempt, of.epoch.0)
}

pub(crate) fn summary(answer: &Answer) -> String {
    match answer {
        Answer::Status { code, retry_after: Some(pause), .. } => {
            format!("{code} after {} ms", pause.as_millis())
        }
        Answer::Status { code, retry_after: None, .. } => code.to_string(),
        Answer::Result { code, result } => format!("{code} with {}", result.as_json()),
        Answer::ResultTooLarge { code, .. } => format!("{code} with too much"),
        Answer::Nothing { why } | Answer::NotAllowed { why } => why.clone(),
    }
}

fn record(record: &Record) -> String {
    format!("record {} {} {}", record.seq.0, record.gid, change(&record.change))
}

fn change(changed: &Change) -> String {
    match changed {
        Change::Begun(spec) => format!("begun {}", spec.instance),
        Change::Registered(branch) => format!("registered {}", branch.id),
        Change::RegisteredAtOnce(branches) => {
            format!("registered {}", ids(branches.iter().map(|branch| &**branch)))
        }
        Change::Readdressed(branch) => format!("readdressed {}", branch.id),
        Change::Decided(decided) => format!("decided {:?}", decided.decision),
        Change::BranchRecord(outcome) => format!("outcome {} {}", outcome.branch, outcome.status),
        Change::Tried(tried) => {
            format!("tried {} with {}", tried.record.branch, tried.result.as_json())
        }
        Change::Finished { status, .. } => format!("finished {status}"),
        Change::Parked(parked) => format!("parked {parked}"),
        Change::History(scheduled_event) => format!("happened {}", scheduled_event.kind),
        Change::Acted(acted) => {
            let changes: Vec<String> = acted.changes.iter().map(change).collect();
            format!("acted {}: {}", acted.act.action, changes.join(", "))
        }
        Change::Ticked(ticked) => {
            let changes: Vec<String> = ticked.changes.iter().map(change).collect();
            format!("ticked {}: {}", ticked.tick.job, changes.join(", "))
        }
    }
}

fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Transaction { told, snapshot }
        | Reply::Branch { told, snapshot, .. }
        | Reply::Branches { told, snapshot, .. } => {
            let transaction = &snapshot.transaction;
            format!("{told:?} {} {}", transaction.gid(), transaction.status())
        }
        Reply::Refused(refusal) => format!("{refusal:?}"),
    }
}

fn ids<'a>(branches: impl Iterator<Item = &'a BranchSpec>) -> String {
    branches.map(|branch| branch.id.as_str()).collect::<Vec<_>>().join(" and ")
}
