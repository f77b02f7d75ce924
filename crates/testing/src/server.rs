//! Serves HTTP/1.1 with a function.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Answers every request on this listener, until it is dropped; its connections end with it. An
/// error closes the connection without an answer.
pub async fn serve<A, F>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<Full<Bytes>>>> + Send + 'static,
{
    serve_by(listener, None, answer).await;
}

/// The same where TLS may be spoken.
pub(crate) async fn serve_by<A, F>(listener: TcpListener, tls: Option<Arc<ServerConfig>>, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<Response<Full<Bytes>>>> + Send + 'static,
{
    let tls = tls.map(TlsAcceptor::from);
    let answer = Arc::new(answer);
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Small answers are not to wait for one another.
        let _ = stream.set_nodelay(true);
        let (answer, tls) = (Arc::clone(&answer), tls.clone());
        connections.spawn(async move {
            let service = service_fn(|request| answer(request));
            let http = http1::Builder::new();
            // A connection that breaks is often what the test is about.
            match tls {
                None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                Some(tls) => {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
