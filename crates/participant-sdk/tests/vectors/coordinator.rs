//! A coordinator that answers what it is told to, and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// One request: method and body.
pub(crate) type Asked = (String, String);

#[derive(Clone)]
pub(crate) struct Coordinator {
    pub(crate) url: String,
    answers: Arc<Mutex<VecDeque<Told>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Coordinator {
    pub(crate) async fn start(answers: Vec<Told>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
        let coordinator = Self { url, answers, asked: Arc::default() };
        let router = Router::new().fallback({
            let coordinator = coordinator.clone();
            move |request| coordinator.clone().answer(request)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        coordinator
    }

    async fn answer(self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let body = String::from_utf8(body.to_vec()).expect("UTF-8");
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((head.method.to_string(), body));
        let told = self.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let told = told.expect("no more was expected");
        let status = StatusCode::from_u16(told.status).expect("a status");
        let mut response = (status, told.body).into_response();
        for (name, value) in &told.headers {
            let name: http::HeaderName = name.parse().expect("a name");
            response.headers_mut().insert(name, value.parse().expect("a value"));
        }
        response
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
