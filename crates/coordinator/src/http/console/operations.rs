//! Screen 5, *Operations*: what operators did, what was told to whom, the settings that hold, nodes and
//! journal, and definitions of sagas.

use askama::Template;
use axum::Extension;
use axum::response::Response;
use futures_util::future::join_all;
use http::Uri;
use tercet_wire::{Action, AuditEntryView, ListedSagaView, Page, SagaView, StepView, metric};
use url::form_urlencoded;

use crate::access::Role;
use crate::config::ShownSetting;
use crate::escape::for_people;
use crate::http::console::act::said;
use crate::http::console::ask::Refused;
use crate::http::console::error_page;
use crate::http::console::gauges::Gauges;
use crate::http::console::link;
use crate::http::console::moment::{Moment, grouped};
use crate::http::console::needs_you::{Pulse, pulse};
use crate::http::console::shell::{Shell, Tab, page};
use crate::http::console::visit::Visitor;
use crate::http::console::words::Tone;

const AT: &str = "/console/operations";

#[derive(Template)]
#[template(path = "console/operations.html")]
struct OperationsPage {
    shell: Shell,
    part: Part,
    pulse: Pulse,
    /// What is free where an SQLite database lies, and of how much.
    disk: Option<String>,
    /// Causes for which work was not taken, and how often.
    turned_away: Vec<(String, String)>,
    alerts: Vec<(String, Tone, String)>,
    alerts_waiting: String,
    requests_failed: String,
    retention: String,
}

#[derive(Template)]
#[template(path = "console/audit.html")]
struct AuditPage {
    shell: Shell,
    part: Part,
    filters: AuditFilters,
    actions: &'static [Action],
    entries: Vec<Entry>,
    next: Option<String>,
    problem: Option<Refused>,
}

#[derive(Template)]
#[template(path = "console/settings.html")]
struct SettingsPage {
    shell: Shell,
    part: Part,
    sections: Vec<Section>,
    changed: usize,
}

#[derive(Template)]
#[template(path = "console/sagas.html")]
struct SagasPage {
    shell: Shell,
    part: Part,
    sagas: Vec<Saga>,
    next: Option<String>,
}

/// Which part of the screen a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Nodes,
    Jobs,
    Audit,
    Settings,
    Sagas,
}

/// What the audit was asked for.
struct AuditFilters {
    who: String,
    gid: String,
    action: String,
    since: String,
}

/// What somebody did.
struct Entry {
    at: Moment,
    who: String,
    role: String,
    action: String,
    gid: Option<(String, String)>,
    branch: Option<String>,
    note: Option<String>,
    detail: String,
}

/// Settings that stand together.
struct Section {
    name: String,
    settings: Vec<ShownSetting>,
}

/// A definition.
struct Saga {
    name: String,
    version: u32,
    retired: Option<Moment>,
    runs: String,
    steps: Vec<Step>,
}

struct Step {
    id: String,
    legs: String,
    after: String,
}

/// Nodes, journal and alerts.
pub(super) async fn operations(Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let ask = visitor.ask();
    let (pulse, metrics) = tokio::join!(pulse(&visitor), ask.text("/metrics"));
    let pulse = match pulse {
        Ok(pulse) => pulse,
        Err(problem) => return error_page::refused(&visitor, Tab::Operations, "/console", problem),
    };
    let names = [
        metric::ALERTS,
        metric::ALERTS_WAITING,
        metric::LOGINS_FAILED,
        metric::RETENTION_LAG,
        metric::DATABASE_DISK_FREE,
        metric::DATABASE_DISK_SIZE,
        metric::ADMISSIONS_REFUSED,
    ];
    let gauges = Gauges::read(&metrics.unwrap_or_default(), &names);
    let alerts = gauges.values(metric::ALERTS, "result").into_iter().map(|result| {
        let count = gauges.count(metric::ALERTS, &[("result", result)]);
        let tone = match result {
            _ if count == 0 => Tone::Quiet,
            "delivered" => Tone::Good,
            "failed" | "dropped" | "given_up" => Tone::Bad,
            _ => Tone::Warn,
        };
        (result.replace('_', " "), tone, grouped(count))
    });
    let size = gauges.count(metric::DATABASE_DISK_SIZE, &[]);
    let free = gauges.count(metric::DATABASE_DISK_FREE, &[]);
    let turned_away = gauges.values(metric::ADMISSIONS_REFUSED, "cause").into_iter();
    let turned_away = turned_away.filter_map(|cause| {
        let count = gauges.count(metric::ADMISSIONS_REFUSED, &[("cause", cause)]);
        (count > 0).then(|| (cause.replace('_', " "), grouped(count)))
    });
    page(&OperationsPage {
        disk: (size > 0)
            .then(|| format!("{} MiB of {} MiB", grouped(free >> 20), grouped(size >> 20))),
        turned_away: turned_away.collect(),
        shell: Shell::new(&visitor, Tab::Operations, "Operations").saying(said(&uri)),
        part: Part::Nodes,
        alerts: alerts.collect(),
        alerts_waiting: grouped(gauges.count(metric::ALERTS_WAITING, &[])),
        requests_failed: grouped(gauges.count(metric::LOGINS_FAILED, &[])),
        retention: format!("{:.0} s", gauges.sum(metric::RETENTION_LAG, &[])),
        pulse,
    })
}

/// What operators did.
pub(super) async fn audit(Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    let pairs = asked(&uri);
    let value = |name: &str| {
        let found = pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let filters = AuditFilters {
        who: value("who"),
        gid: value("gid"),
        action: value("action"),
        since: value("since"),
    };
    let shell = Shell::new(&visitor, Tab::Operations, "Audit");
    let query = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let asked = link::with_query("/v1/audit", query.clone());
    let (entries, next, problem) = match visitor.ask().get::<Page<AuditEntryView>>(&asked).await {
        Ok(found) => {
            let entries = found.items.into_iter().map(|entry| entry_of(entry, &visitor));
            let kept = query.filter(|(name, _)| *name != "cursor");
            let next = found.next_cursor.as_deref().map(|cursor| {
                link::with_query("/console/operations/audit", kept.chain([("cursor", cursor)]))
            });
            (entries.collect(), next, None)
        }
        Err(problem) => (Vec::new(), None, Some(problem)),
    };
    let part = Part::Audit;
    page(&AuditPage { shell, part, filters, actions: Action::ALL, entries, next, problem })
}

/// What the address asks for; what was left empty is not.
fn asked(uri: &Uri) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let pairs = pairs.into_owned().map(|(name, value)| (name, value.trim().to_owned()));
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

fn entry_of(entry: AuditEntryView, visitor: &Visitor) -> Entry {
    let detail = entry.detail.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name} {text}")
    });
    let detail = detail.collect::<Vec<_>>().join(" · ");
    Entry {
        at: Moment::new(entry.at, visitor.now()),
        who: for_people(&entry.who).into_owned(),
        role: entry.role,
        action: entry.action,
        gid: entry.gid.map(|gid| (gid.to_string(), link::transaction(gid.as_str()))),
        branch: entry.branch.map(|branch| branch.to_string()),
        note: entry.note.map(|note| for_people(&note).into_owned()),
        detail: for_people(&detail).into_owned(),
    }
}

/// The settings that hold, and where from. They are an operator's: they say where what lies.
pub(super) async fn settings(Extension(visitor): Extension<Visitor>) -> Response {
    if let Err(denied) = visitor.caller.may(Role::Operator) {
        let problem =
            tercet_wire::Problem::new(tercet_wire::ProblemCode::Forbidden, denied.to_string());
        return error_page::refused(&visitor, Tab::Operations, AT, Box::new(problem));
    }
    let mut sections: Vec<Section> = Vec::new();
    let all = &visitor.console().own.settings;
    for setting in all.iter() {
        match sections.last_mut() {
            Some(section) if section.name == setting.section => {
                section.settings.push(setting.clone());
            }
            Some(_) | None => {
                let settings = vec![setting.clone()];
                sections.push(Section { name: setting.section.clone(), settings });
            }
        }
    }
    let changed = all.iter().filter(|setting| !setting.is_default).count();
    let shell = Shell::new(&visitor, Tab::Operations, "Settings");
    page(&SettingsPage { shell, part: Part::Settings, sections, changed })
}

/// Definitions of sagas.
pub(super) async fn sagas(Extension(visitor): Extension<Visitor>, uri: Uri) -> Response {
    match defined(&visitor, &uri).await {
        Ok((sagas, next)) => {
            let shell = Shell::new(&visitor, Tab::Operations, "Sagas");
            page(&SagasPage { shell, part: Part::Sagas, sagas, next })
        }
        Err(problem) => error_page::refused(&visitor, Tab::Operations, AT, problem),
    }
}

async fn defined(visitor: &Visitor, uri: &Uri) -> Result<(Vec<Saga>, Option<String>), Refused> {
    let ask = visitor.ask();
    let pairs = asked(uri);
    let cursor = pairs.iter().filter(|(name, _)| name == "cursor");
    let cursor = cursor.map(|(name, value)| (name.as_str(), value.as_str()));
    let listed = link::with_query("/v1/sagas", cursor.chain([("limit", "25")]));
    let page = ask.get::<Page<ListedSagaView>>(&listed).await?;
    let sagas = page.items.into_iter().map(|listed| {
        let ask = &ask;
        async move {
            let name = listed.name.to_string();
            let at = format!("/v1/sagas/{}", link::segment(&name));
            let view = ask.get::<SagaView>(&at).await.ok();
            let steps = view.into_iter().flat_map(|view| view.steps).map(step);
            Saga {
                runs: link::with_query(
                    "/console/transactions",
                    [("pattern", "saga"), ("status", "all"), ("order", "newest")],
                ),
                version: listed.version,
                retired: listed.retired_at.map(|at| Moment::new(at, visitor.now())),
                steps: steps.collect(),
                name,
            }
        }
    });
    let sagas = join_all(sagas).await;
    let next = page.next_cursor.as_deref();
    Ok((
        sagas,
        next.map(|cursor| link::with_query("/console/operations/sagas", [("cursor", cursor)])),
    ))
}

fn step(step: StepView) -> Step {
    let legs = [
        ("endpoint", &step.endpoint),
        ("action", &step.action),
        ("compensate", &step.compensate),
        ("confirm", &step.confirm),
    ];
    let legs = legs.iter().filter_map(|(leg, url)| Some(format!("{leg} {}", url.as_ref()?)));
    let after = match &step.after {
        None => "the one before".to_owned(),
        Some(after) if after.is_empty() => "nothing".to_owned(),
        Some(after) => after.join(", "),
    };
    Step { legs: legs.collect::<Vec<_>>().join(" · "), after, id: step.id }
}
