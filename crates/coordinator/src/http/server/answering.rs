//! What each connection does with its requests: whose they are, whether it may be asked them,
//! and that nobody is worked for who is gone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{Request, Version, header};
use hyper::body::Incoming;
use hyper::service::Service;
use tercet_wire::{Invalid, ProblemCode};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::access::Certificate;
use crate::http::entrance::{Entrance, is_probe};
use crate::http::extract::peer::Peer;
use crate::http::response::problem::Failure;
use crate::http::server::guests::Guest;
use crate::http::server::socket::Socket;

/// What a connection may be asked.
#[derive(Debug, Clone)]
pub(super) enum Admission {
    /// Everything; it holds one of the places.
    Full,
    /// Probes, and everything if a place is free by the time that it is asked.
    Guest(Guest, Arc<Semaphore>),
    /// Probes alone.
    Probes(Guest),
}

impl Admission {
    /// Whom it lets in without a place.
    pub(super) fn guest(&self) -> Option<&Guest> {
        match self {
            Self::Full => None,
            Self::Guest(guest, _) | Self::Probes(guest) => Some(guest),
        }
    }
}

/// Nobody is told the answer.
#[derive(Debug, Error)]
pub(super) enum Unanswered {
    /// Nobody waits for it any more.
    #[error("the client has hung up")]
    HungUp,
    /// The connection was to be closed just before it asked.
    #[error("the connection has made room for another")]
    MadeRoom,
}

/// The service of one connection.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) entrance: Entrance,
    pub(super) peer: Peer,
    pub(super) admission: Admission,
    pub(super) socket: Arc<Socket>,
    /// Of the connection, where clients are asked for one.
    pub(super) certificate: Option<Certificate>,
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response;
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Unanswered>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.socket.has_request();
        if self.admission.guest().is_some_and(|guest| !guest.asks()) {
            return Box::pin(std::future::ready(Err(Unanswered::MadeRoom)));
        }
        if let Err(failure) = self.may_be_asked(&request) {
            let answer = failure.into_response();
            self.entrance.metrics().turned_away(answer.status());
            return Box::pin(std::future::ready(Ok(answer)));
        }
        request.extensions_mut().insert(self.peer);
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let answer = self.entrance.answer(request);
        let socket = Arc::clone(&self.socket);
        Box::pin(async move {
            tokio::select! {
                biased;
                answer = answer => Ok(answer),
                () = socket.hung_up() => Err(Unanswered::HungUp),
            }
        })
    }
}

impl Answering {
    fn may_be_asked(&self, request: &Request<Incoming>) -> Result<(), Failure> {
        check_host(request)?;
        self.entrance.browsers().check(request, self.peer.door)?;
        match &self.admission {
            Admission::Full => Ok(()),
            _ if is_probe(request.uri().path()) => Ok(()),
            Admission::Guest(guest, room) if guest.takes_place(room) => Ok(()),
            Admission::Guest(..) => {
                self.entrance.has_no_place();
                let detail = "all connections that there may be are taken; nothing happened";
                Err(Failure::new(ProblemCode::NotAccepted, detail))
            }
            Admission::Probes(_) => {
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
