//! The layer and what it can be told.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, Method, header};
use axum::response::Response;
use tower::{Layer, Service};

use super::run;
use super::store::{KeyStore, Terms};

/// What becomes of a request without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyPolicy {
    /// It is refused: 400.
    #[default]
    Required,
    /// It goes to the handler, and its repeat does too.
    Optional,
}

/// A [`tower::Layer`] that lets a `POST` or `PATCH` with an `Idempotency-Key` happen once. Other methods pass: they
/// change nothing, or are the same when repeated.
///
/// | a request comes | and is answered |
/// |---|---|
/// | without a key where one is [required](KeyPolicy), or with a bad one | 400 |
/// | with a new key | by the handler |
/// | with a key that was answered | with the kept answer and `Idempotency-Replayed: true` |
/// | with a key whose request is still running | 409 and `Retry-After: 1` |
/// | with a key of another request: method, path, query or body differ | 422 |
/// | with a body beyond the bound | 413 |
/// | while the store cannot be asked, or is full | 503; the handler was not run |
///
/// Kept are answers that settle the matter: 1xx to 4xx without 408, 425 and 429. A 5xx and a panic (answered 500) say that
/// nothing was done, so the next request runs the handler again; a handler should see to it that they are true. An
/// answer whose body is beyond the bound is given once; its repeats are told 409 without `Retry-After`.
///
/// The handler runs on when its client hangs up. If its process dies, requests with its key are told 409
/// until its lease runs out (it is renewed while the handler runs), and then one of them
/// runs the handler again: it may have done its work before it died. What must be exact even then has to write
/// [`IdempotencyKey`](crate::IdempotencyKey), which is among the request's extensions, in the SQL transaction of its own change; or be a
/// `Participant`.
///
/// Two clients that choose the same key are told apart only by what [`separate_by`](Self::separate_by) names.
///
/// ```
/// use axum::{Router, http::header, routing::post};
/// use tercet_participant::{Idempotency, KeyPolicy, KeyStore};
///
/// async fn place_order() -> &'static str {
///     "placed"
/// }
///
/// let once = Idempotency::new(KeyStore::in_memory(10_000))
///     .policy(KeyPolicy::Required)
///     .separate_by(header::AUTHORIZATION);
/// let app: Router = Router::new().route("/orders", post(place_order)).layer(once);
/// ```
///
/// With a database, whose answers all processes of a service share and no restart forgets:
///
/// ```no_run
/// # #[cfg(feature = "sea-orm")]
/// # async fn start(db: sea_orm::DatabaseConnection) -> Result<(), Box<dyn std::error::Error>> {
/// use tercet_participant::{Idempotency, KeyStore};
///
/// let keys = KeyStore::in_database(db);
/// keys.migrate().await?;
/// let once = Idempotency::new(keys.clone());
/// tokio::spawn(async move {
///     loop {
///         if let Err(error) = keys.purge(1_000_000).await {
///             eprintln!("old keys could not be purged: {error}");
///         }
///         tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
///     }
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Idempotency(Arc<Settings>);

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) store: KeyStore,
    pub(super) policy: KeyPolicy,
    pub(super) terms: Terms,
    pub(super) separate_by: Vec<HeaderName>,
    pub(super) headers: Vec<HeaderName>,
    pub(super) request_bytes: usize,
    pub(super) answer_bytes: usize,
}

impl Idempotency {
    /// Keys are required, answers kept for a day with `Content-Type`, `Content-Language`, `Location` and `ETag`; a lease is
    /// 30 s, a request's body at most 1 MiB, a kept answer's 256 KiB.
    #[must_use]
    pub fn new(store: KeyStore) -> Self {
        Self(Arc::new(Settings {
            store,
            policy: KeyPolicy::default(),
            terms: Terms {
                lease: Duration::from_secs(30),
                keep: Duration::from_secs(24 * 60 * 60),
            },
            separate_by: Vec::new(),
            headers: vec![
                header::CONTENT_TYPE,
                header::CONTENT_LANGUAGE,
                header::LOCATION,
                header::ETAG,
            ],
            request_bytes: 1024 * 1024,
            answer_bytes: 256 * 1024,
        }))
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// What becomes of a request without a key.
    #[must_use]
    pub fn policy(self, policy: KeyPolicy) -> Self {
        self.change(|settings| settings.policy = policy)
    }

    /// Keys under different values of this header are different keys: name the header that tells your clients apart. One that changes between a request and
    /// its repeat (a token that is renewed) makes them two requests.
    #[must_use]
    pub fn separate_by(self, header: HeaderName) -> Self {
        self.change(|settings| settings.separate_by.push(header))
    }

    /// Keeps this header of an answer as well.
    #[must_use]
    pub fn keep_header(self, header: HeaderName) -> Self {
        self.change(|settings| settings.headers.push(header))
    }

    /// How long an answer is kept, and its key taken.
    #[must_use]
    pub fn keep_for(self, time: Duration) -> Self {
        self.change(|settings| settings.terms.keep = time)
    }

    /// How long after the last sign of life of its process a request is taken for running: 1 s and more.
    #[must_use]
    pub fn lease(self, time: Duration) -> Self {
        self.change(|settings| settings.terms.lease = time.max(Duration::from_secs(1)))
    }

    /// The largest bodies, in bytes: of a request, and of an answer that is kept.
    #[must_use]
    pub fn body_bytes(self, request: usize, answer: usize) -> Self {
        self.change(|settings| {
            settings.request_bytes = request;
            settings.answer_bytes = answer;
        })
    }
}

impl<S> Layer<S> for Idempotency {
    type Service = IdempotencyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdempotencyService { inner, settings: Arc::clone(&self.0) }
    }
}

/// What [`Idempotency`] makes of a service.
#[derive(Debug, Clone)]
pub struct IdempotencyService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> Service<Request> for IdempotencyService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The inner service is asked when a handler is to run; an answer that is kept needs none.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.inner.clone();
        if !matches!(*request.method(), Method::POST | Method::PATCH) {
            return Box::pin(tower::ServiceExt::oneshot(inner, request));
        }
        let settings = Arc::clone(&self.settings);
        Box::pin(async move { Ok(run::answer(settings, inner, request).await) })
    }
}
