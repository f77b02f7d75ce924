//! What each connection does with its requests: whose they are, whether it may be asked them,
//! and that nobody is worked for who is gone.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{Request, Version, header};
use hyper::body::Incoming;
use hyper::service::Service;
use tercet_wire::{Invalid, ProblemCode};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::entrance::{Entrance, is_probe};
use crate::http::extract::peer::Peer;
use crate::http::response::problem::Failure;
use crate::http::server::socket::Socket;

/// What a connection may be asked.
#[derive(Debug, Clone)]
pub(super) enum Admission {
    /// Everything; it holds one of the places.
    Full,
    /// Probes, as long as no place is free.
    Guest(Guest),
    /// Probes alone.
    Probes,
}

/// A connection that came when all places were taken. It gets one if one is free by the time
/// that something is asked.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    room: Arc<Semaphore>,
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Guest {
    pub(super) fn new(room: Arc<Semaphore>) -> Self {
        Self { room, place: Arc::default() }
    }

    /// Whether it has a place of its own by now.
    pub(super) fn has_place(&self) -> bool {
        // What is kept here is whole or not there, whoever panicked.
        self.place.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn takes_place(&self) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = Arc::clone(&self.room).try_acquire_owned().ok();
        }
        place.is_some()
    }
}

/// Nobody waits for the answer any more.
#[derive(Debug, Error)]
#[error("the client has hung up")]
pub(super) struct HungUp;

/// The service of one connection.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) entrance: Entrance,
    pub(super) peer: Peer,
    pub(super) admission: Admission,
    pub(super) socket: Arc<Socket>,
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response;
    type Error = HungUp;
    type Future = Pin<Box<dyn Future<Output = Result<Response, HungUp>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.socket.has_request();
        if let Err(failure) = self.may_be_asked(&request) {
            return Box::pin(std::future::ready(Ok(failure.into_response())));
        }
        request.extensions_mut().insert(self.peer);
        let answer = self.entrance.answer(request);
        let socket = Arc::clone(&self.socket);
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => Ok(answer),
                () = socket.hung_up() => Err(HungUp),
            }
        })
    }
}

impl Answering {
    fn may_be_asked(&self, request: &Request<Incoming>) -> Result<(), Failure> {
        check_host(request)?;
        match &self.admission {
            Admission::Full => Ok(()),
            _ if is_probe(request.uri().path()) => Ok(()),
            Admission::Guest(guest) if guest.takes_place() => Ok(()),
            Admission::Guest(_) => {
                let detail = "all connections that there may be are taken; nothing happened";
                Err(Failure::new(ProblemCode::NotAccepted, detail))
            }
            Admission::Probes => {
                let detail = "here are /livez, /readyz and /metrics alone";
                Err(Failure::new(ProblemCode::NotFound, detail))
            }
        }
    }
}

/// Source: RFC 9112, 3.2.
fn check_host<B>(request: &Request<B>) -> Result<(), Invalid> {
    let invalid = |what| Err(Invalid::new("Host", what));
    let mut given = request.headers().get_all(header::HOST).iter();
    let host = match (given.next(), given.next()) {
        (Some(host), None) => host,
        (Some(_), Some(_)) => return invalid("is given twice; a request has one"),
        (None, _) if request.version() < Version::HTTP_11 => return Ok(()),
        (None, _) => return invalid("is missing; a request of HTTP/1.1 has one"),
    };
    let host = host.as_bytes();
    // Empty is what is sent where the address has no host.
    let is_host =
        host.is_empty() || Authority::try_from(host).is_ok_and(|host| !host.as_str().contains('@'));
    if is_host { Ok(()) } else { invalid("must be a host, or a host and a port") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host_and_it_is_one() {
        let check = |version, hosts: &[&str]| {
            let mut request = Request::builder().version(version).uri("/livez");
            for host in hosts {
                request = request.header("host", *host);
            }
            check_host(&request.body(()).expect("a request")).map_err(|error| error.to_string())
        };
        for host in ["tercet", "tercet:7200", "127.0.0.1", "[::1]:7200", "a.b-c.example", ""] {
            assert_eq!(check(Version::HTTP_11, &[host]), Ok(()), "{host}");
        }
        assert_eq!(check(Version::HTTP_10, &[]), Ok(()));
        for hosts in [&[][..], &["a", "a"], &["a", "b"], &["a b"], &["u@a"], &["a/b"], &["a:b:c"]] {
            let error = check(Version::HTTP_11, hosts).expect_err("no host");
            assert!(error.starts_with("Host: "), "{hosts:?}: {error}");
        }
        assert!(check(Version::HTTP_10, &["a", "b"]).is_err());
    }
}
