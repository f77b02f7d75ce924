//! Order, inventory and payment in memory: guarded as the demo's are, and as quick as can be, for
//! loads at which three SQLite files would be all there is to measure.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::books::{Entries, Guarded};
use crate::clock;
use crate::error::ChaosError;

/// Where it shows its books.
pub(crate) const BOOKS: &str = "/books";
/// Where it tells which messages came, `from` so many on.
pub(crate) const DELIVERIES: &str = "/deliveries";

/// What a service is called, in the order of `Entries::guards`.
const SERVICES: [&str; 3] = ["order", "inventory", "payment"];

/// Its command line.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct InMemoryServices {
    /// Where it listens.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Pieces in stock.
    #[arg(long, value_name = "N")]
    pieces: i64,
}

impl InMemoryServices {
    /// What the subcommand is called.
    pub(crate) const NAME: &str = "in-memory-services";

    /// What this program is told so that it is one.
    pub(crate) fn command_line(listen: SocketAddr, pieces: i64) -> [String; 5] {
        let (listen, pieces) = (listen.to_string(), pieces.to_string());
        [Self::NAME, "--listen", &listen, "--pieces", &pieces].map(str::to_owned)
    }
}

/// Serves until it is ended.
pub(crate) async fn run(asked: InMemoryServices) -> Result<bool, ChaosError> {
    let listener = TcpListener::bind(asked.listen).await;
    let listener = listener.map_err(ChaosError::io(format!("listen on {}", asked.listen)))?;
    println!("listening on http://{}", asked.listen);
    let books = Arc::new(Mutex::new(Kept::stocked(asked.pieces)));
    tercet_testing::serve(listener, move |request| answer(request, Arc::clone(&books))).await;
    Ok(true)
}

/// What it keeps.
#[derive(Debug)]
struct Kept {
    entries: Entries,
    /// Messages in the order in which they came, and when.
    delivered: Vec<(String, Instant)>,
}

impl Kept {
    fn stocked(pieces: i64) -> Self {
        Self { entries: Entries::stocked(pieces), delivered: Vec::new() }
    }
}

async fn answer(
    request: Request<Incoming>,
    books: Arc<Mutex<Kept>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    // The rest of a body that broke off does not come.
    let _ = body.collect().await;
    let path = head.uri.path();
    if path == BOOKS {
        let text = serde_json::to_vec(&lock(&books).entries).unwrap_or_default();
        return Ok(Response::new(Full::from(text)));
    }
    if path == DELIVERIES {
        let from = head.uri.query().and_then(|query| query.strip_prefix("from=")?.parse().ok());
        return Ok(Response::new(Full::from(delivered(&lock(&books), from.unwrap_or(0)))));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = call(path, &head.headers, &mut lock(&books));
    Ok(response)
}

/// Those from this place on, each with how many milliseconds ago it came.
fn delivered(kept: &Kept, from: usize) -> Vec<u8> {
    let now = clock::now();
    let told = kept.delivered.iter().skip(from).map(|(gid, at)| {
        (gid, u64::try_from(now.duration_since(*at).as_millis()).unwrap_or(u64::MAX))
    });
    serde_json::to_vec(&told.collect::<Vec<_>>()).unwrap_or_default()
}

/// A panic while the books were open would have been this program's own fault.
fn lock(books: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

fn call(path: &str, headers: &HeaderMap, kept: &mut Kept) -> StatusCode {
    let books = &mut kept.entries;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(gid), Some(instance)) = (text("tercet-gid"), text("tercet-instance")) else {
        return StatusCode::BAD_REQUEST;
    };
    let Some((service, op)) = path.trim_start_matches('/').split_once('/') else {
        return StatusCode::NOT_FOUND;
    };
    let Some(index) = SERVICES.iter().position(|name| *name == service) else {
        return StatusCode::NOT_FOUND;
    };
    let recorded = books.guards[index].get(gid).cloned();
    let is_another = recorded.as_ref().is_some_and(|guarded| guarded.instance != instance);
    let recorded = recorded.map(|guarded| guarded.state);
    let at = |index: Option<usize>| {
        let guarded = index.and_then(|index| books.guards.get(index)?.get(gid));
        guarded.map(|guarded| guarded.state.as_str())
    };
    // Of a saga the step before must be done by now, and the one behind be undone, or never have been done.
    let is_first = index == 0 || at(index.checked_sub(1)) == Some("confirmed");
    let is_last = at(Some(index + 1)) != Some("confirmed");
    let state = match (op, recorded.as_deref()) {
        ("deliver", Some(_)) if is_another => "delivered twice",
        ("deliver", None) => {
            books.reserve(service, gid);
            books.take(service, gid);
            kept.delivered.push((gid.to_owned(), clock::now()));
            "confirmed"
        }
        ("book", None) if !is_first => "booked out of order",
        ("undo", Some("confirmed") | None) if !is_last => "undone out of order",
        ("book", None) if books.reserve(service, gid) => {
            books.take(service, gid);
            "confirmed"
        }
        ("undo", Some("confirmed")) => {
            books.give_back(service, gid);
            "cancelled"
        }
        ("undo", None) => "cancelled",
        ("book", None | Some("cancelled")) | ("refuse", _) => return StatusCode::CONFLICT,
        ("deliver" | "book" | "undo", Some(_)) => return StatusCode::OK,
        ("try", None) if books.reserve(service, gid) => "tried",
        ("try", None | Some("cancelled")) | ("cancel", Some("confirmed")) => {
            return StatusCode::CONFLICT;
        }
        ("confirm", Some("tried")) => {
            books.take(service, gid);
            "confirmed"
        }
        ("cancel", Some("tried")) => {
            books.release(service, gid);
            "cancelled"
        }
        ("cancel", None) => "cancelled",
        ("try", Some(_)) | ("confirm", Some("confirmed")) | ("cancel", Some(_)) => {
            return StatusCode::OK;
        }
        ("confirm", _) => return StatusCode::GONE,
        (_, _) => return StatusCode::NOT_FOUND,
    };
    let guarded = Guarded { instance: instance.to_owned(), state: state.to_owned() };
    books.guards[index].insert(gid.to_owned(), guarded);
    StatusCode::OK
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::Balance;

    #[test]
    fn it_answers_as_a_guarded_participant_does() {
        let headers = |gid: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("tercet-gid", gid.parse().expect("a header"));
            headers.insert("tercet-instance", "i".parse().expect("a header"));
            headers
        };
        let mut books = Kept::stocked(1);
        let table = [
            ("a", "try", 200),
            ("a", "try", 200),
            ("b", "try", 409),
            ("b", "cancel", 200),
            ("b", "try", 409),
            ("b", "confirm", 410),
            ("a", "confirm", 200),
            ("a", "confirm", 200),
            ("a", "cancel", 409),
            ("c", "confirm", 410),
        ];
        for (gid, op, expected) in table {
            let status = call(&format!("/inventory/{op}"), &headers(gid), &mut books);
            assert_eq!(status.as_u16(), expected, "{op} of {gid}");
        }
        assert_eq!(books.entries.stock, Balance { free: 0, promised: 0 });
    }

    #[test]
    fn it_is_the_steps_of_a_saga_and_sees_when_they_are_out_of_order() {
        let headers = |gid: &str, instance: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("tercet-gid", gid.parse().expect("a header"));
            headers.insert("tercet-instance", instance.parse().expect("a header"));
            headers
        };
        let mut kept = Kept::stocked(1);
        let table = [
            ("a", "order/book", 200, 0, "confirmed"),
            ("a", "inventory/book", 200, 1, "confirmed"),
            ("a", "inventory/book", 200, 1, "confirmed"),
            ("a", "payment/refuse", 409, 1, "confirmed"),
            ("a", "payment/undo", 200, 2, "cancelled"),
            ("a", "payment/book", 409, 2, "cancelled"),
            ("a", "inventory/undo", 200, 1, "cancelled"),
            ("a", "order/undo", 200, 0, "cancelled"),
            ("b", "inventory/book", 200, 1, "booked out of order"),
            ("c", "order/book", 200, 0, "confirmed"),
            ("c", "inventory/book", 200, 1, "confirmed"),
            ("c", "order/undo", 200, 0, "undone out of order"),
            ("d", "order/deliver", 200, 0, "confirmed"),
            ("d", "order/deliver", 200, 0, "confirmed"),
        ];
        for (gid, path, expected, index, state) in table {
            let status = call(&format!("/{path}"), &headers(gid, "i"), &mut kept);
            assert_eq!(status.as_u16(), expected, "{path} of {gid}");
            assert_eq!(kept.entries.guards[index][gid].state, state, "{path} of {gid}");
        }
        assert_eq!(kept.entries.stock, Balance { free: 0, promised: 0 });
        assert_eq!(kept.delivered.len(), 1);
        call("/order/deliver", &headers("d", "another"), &mut kept);
        assert_eq!(kept.entries.guards[0]["d"].state, "delivered twice");
    }
}
