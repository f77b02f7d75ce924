//! Order, inventory and payment in memory: guarded as the demo's are, and as quick as can be, for
//! loads at which three SQLite files would be all there is to measure.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::books::{Entries, Guarded};
use crate::error::ChaosError;

/// Where it shows its books.
pub(crate) const BOOKS: &str = "/books";

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
    let books = Arc::new(Mutex::new(Entries::stocked(asked.pieces)));
    tercet_testing::serve(listener, move |request| answer(request, Arc::clone(&books))).await;
    Ok(true)
}

async fn answer(
    request: Request<Incoming>,
    books: Arc<Mutex<Entries>>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    // The rest of a body that broke off does not come.
    let _ = body.collect().await;
    let path = head.uri.path();
    if path == BOOKS {
        let text = serde_json::to_vec(&*lock(&books)).unwrap_or_default();
        return Ok(Response::new(Full::from(text)));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = call(path, &head.headers, &mut lock(&books));
    Ok(response)
}

/// A panic while the books were open would have been this program's own fault.
fn lock(books: &Mutex<Entries>) -> MutexGuard<'_, Entries> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}

fn call(path: &str, headers: &HeaderMap, books: &mut Entries) -> StatusCode {
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
    let recorded = books.guards[index].get(gid).map(|guarded| guarded.state.clone());
    let state = match (op, recorded.as_deref()) {
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
        let mut books = Entries::stocked(1);
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
        assert_eq!(books.stock, Balance { free: 0, promised: 0 });
    }
}
