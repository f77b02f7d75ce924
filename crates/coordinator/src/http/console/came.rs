//! The same done to transactions that were chosen one by one, and what came of it for each.

use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::response::Response;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tercet_wire::{ProblemCode, ResolvedAs, TransactionView};

use crate::http::console::act::{back, went_well};
use crate::http::console::ask::{Acted, Ask, Refused};
use crate::http::console::error_page;
use crate::http::console::form::Form;
use crate::http::console::link;
use crate::http::console::many::{CHOSEN, Deed, LIST, deed};
use crate::http::console::resolve::{is_opposite, not_decided};
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::is_done;

/// Of those so many at once, so that a call under way is not waited for as often as there are transactions.
pub(super) const AT_ONCE: usize = 16;
/// How long it goes on with more of them: somebody waits for the page.
const LONGEST: Duration = Duration::from_secs(20);

/// What came of it, of each in one of the lists.
#[derive(Template)]
#[template(path = "console/came_of_it.html")]
struct CameOfIt {
    shell: Shell,
    done: usize,
    asked_for: Vec<Named>,
    nothing: Vec<Named>,
    against: Vec<Named>,
    failed: Vec<Failed>,
    not_tried: Vec<Named>,
    all: usize,
    back: String,
}

/// A transaction and its page.
struct Named {
    gid: String,
    href: String,
}

/// One to which it could not be done.
struct Failed {
    named: Named,
    problem: Refused,
    /// Branches of it that were resolved before.
    resolved: usize,
}

/// What came of it for one.
#[derive(Debug)]
enum Came {
    /// It is done.
    Done,
    /// It is taken, and takes effect when the call under way ends.
    AskedFor,
    /// There was nothing that it could be done to.
    Nothing,
    /// It would have gone against the decision, which nobody had said is meant.
    Against,
    /// It could not be done, to all of it or, where some branches were resolved, to the rest.
    Failed { problem: Refused, resolved: usize },
}

impl Came {
    /// Whether there is no use in trying the next one: what failed is none of this one's.
    fn is_of_all(&self) -> bool {
        let Self::Failed { problem, .. } = self else { return false };
        matches!(
            problem.code,
            ProblemCode::JournalUnavailable
                | ProblemCode::ShuttingDown
                | ProblemCode::Unauthorized
                | ProblemCode::Forbidden
        )
    }
}

/// What is to be done, and why.
#[derive(Debug, Clone, Copy)]
struct Doing<'a> {
    deed: Deed,
    note: Option<&'a str>,
    /// Whether those are meant too that were decided the other way.
    is_mixed_meant: bool,
}

/// Does it to each of these, at once.
async fn to_each(ask: &Ask, gids: &[String], doing: Doing<'_>) -> Vec<Came> {
    join_all(gids.iter().map(|gid| to_one(ask, gid, doing))).await
}

async fn to_one(ask: &Ask, gid: &str, doing: Doing<'_>) -> Came {
    let at = format!("/v1/transactions/{}", link::segment(gid));
    let came = match doing.deed {
        Deed::Retry => ask.act(Method::POST, &format!("{at}/retry"), None).await,
        Deed::Cancel => {
            let body = doing.note.map(|note| json!({ "reason": note }));
            ask.act(Method::POST, &format!("{at}/cancel?wait=decided"), body.as_ref()).await
        }
        Deed::Resolve(as_) => return resolved(ask, gid, as_, doing).await,
    };
    match came {
        // What was to be called is being called, whether or not that was waited for.
        Ok(_) if doing.deed == Deed::Retry => Came::Done,
        Ok(Acted::Done) => Came::Done,
        Ok(Acted::AskedFor) => Came::AskedFor,
        Err(problem) => Came::Failed { problem, resolved: 0 },
    }
}

/// Ends all branches of one that have not ended.
async fn resolved(ask: &Ask, gid: &str, as_: ResolvedAs, doing: Doing<'_>) -> Came {
    let Doing { deed: _, note, is_mixed_meant } = doing;
    let at = format!("/v1/transactions/{}", link::segment(gid));
    let view = match ask.get::<TransactionView>(&at).await {
        Ok(view) => view,
        Err(problem) => return Came::Failed { problem, resolved: 0 },
    };
    let waiting: Vec<_> = view.branches.iter().filter(|branch| !is_done(branch)).collect();
    if waiting.is_empty() {
        return Came::Nothing;
    }
    match is_opposite(as_, view.summary.status) {
        None => return Came::Failed { problem: not_decided(gid), resolved: 0 },
        Some(true) if !is_mixed_meant => return Came::Against,
        Some(_) => {}
    }
    let body = json!({ "as": as_, "note": note });
    let (mut resolved, mut came) = (0, Came::Done);
    for branch in waiting {
        let uri = format!("{at}/branches/{}/resolve", link::segment(branch.id.as_str()));
        match ask.act(Method::POST, &uri, Some(&body)).await {
            Ok(Acted::Done) => {}
            Ok(Acted::AskedFor) => came = Came::AskedFor,
            Err(problem) => return Came::Failed { problem, resolved },
        }
        resolved += 1;
    }
    came
}

/// Does it to each that was chosen.
pub(super) async fn chosen(Extension(visitor): Extension<Visitor>, form: Form) -> Response {
    let to = back(&form, LIST).to_owned();
    let deed = match deed(&form) {
        Ok(deed) => deed,
        Err(problem) => return error_page::refused(&visitor, Tab::Transactions, &to, problem),
    };
    let is_mixed_meant = form.get("mixed") == Some("yes");
    let doing = Doing { deed, note: form.get("note"), is_mixed_meant };
    let gids = form.all("gid");
    let shell = Shell::new(&visitor, Tab::Transactions, "What came of it");
    let came = done_to(&visitor, &gids, doing).await;
    let filled = CameOfIt::of(shell, &gids, came, to);
    match filled.is_all_done() {
        true => went_well(&filled.back, "chosen", u64::try_from(filled.done).ok()),
        false => page(&filled),
    }
}

/// What came of it, of as many as were tried: no more than are taken at a time, none after what is no
/// fault of a transaction, and none once somebody has waited long enough for the page.
async fn done_to(visitor: &Visitor, gids: &[String], doing: Doing<'_>) -> Vec<Came> {
    let (ask, clock) = (visitor.ask(), &visitor.console().clock);
    let until = clock.mono().after(LONGEST);
    let mut came = Vec::new();
    for chunk in gids[..gids.len().min(CHOSEN)].chunks(AT_ONCE) {
        if clock.mono() >= until || came.iter().any(Came::is_of_all) {
            break;
        }
        came.extend(to_each(&ask, chunk, doing).await);
    }
    came
}

impl CameOfIt {
    fn of(shell: Shell, gids: &[String], came: Vec<Came>, back: String) -> Self {
        let named = |gid: &String| Named { gid: gid.clone(), href: link::transaction(gid) };
        let not_tried = gids.iter().skip(came.len()).map(named).collect();
        let mut filled = Self {
            shell,
            done: 0,
            asked_for: Vec::new(),
            nothing: Vec::new(),
            against: Vec::new(),
            failed: Vec::new(),
            not_tried,
            all: gids.len(),
            back,
        };
        for (gid, came) in gids.iter().zip(came) {
            match came {
                Came::Done => filled.done += 1,
                Came::AskedFor => filled.asked_for.push(named(gid)),
                Came::Nothing => filled.nothing.push(named(gid)),
                Came::Against => filled.against.push(named(gid)),
                Came::Failed { problem, resolved } => {
                    filled.failed.push(Failed { named: named(gid), problem, resolved });
                }
            }
        }
        filled
    }

    fn is_all_done(&self) -> bool {
        self.done == self.all
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::Problem;

    use super::*;

    #[test]
    fn what_came_of_it_counts_as_done_what_was_done() {
        let gids: Vec<String> = (1..=6).map(|number| format!("order-{number}")).collect();
        let failed = |code| Came::Failed { problem: Problem::new(code, "x").into(), resolved: 0 };
        assert!(failed(ProblemCode::JournalUnavailable).is_of_all());
        let of_one = failed(ProblemCode::AlreadyFinished);
        assert!(!of_one.is_of_all());
        let came = vec![Came::Done, Came::AskedFor, of_one, Came::Nothing, Came::Against];
        let shell = Shell::nobodys();
        let filled = CameOfIt::of(shell.clone(), &gids, came, String::new());
        let counts = [&filled.asked_for, &filled.nothing, &filled.against, &filled.not_tried];
        assert_eq!((filled.done, filled.failed.len(), counts.map(Vec::len)), (1, 1, [1; 4]));
        assert_eq!(filled.not_tried[0].gid, "order-6");
        assert!(!filled.is_all_done());
        let all = CameOfIt::of(shell, &gids[..1], vec![Came::Done], String::new());
        assert!(all.is_all_done());
    }
}
