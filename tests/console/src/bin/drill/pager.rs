//! Whoever is woken: the receiver of the coordinator's alerts.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::{Json, Router};
use serde_json::Value;
use tercet_console_tests::eventually;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Told = Arc<Mutex<Vec<Value>>>;

/// A receiver on a port of its own.
pub(crate) struct Pager {
    url: String,
    told: Told,
    task: JoinHandle<()>,
}

impl Pager {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
        let told = Told::default();
        let router = Router::new().fallback(take).with_state(Arc::clone(&told));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { url, told, task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The first alert of this type about this participant, once it has come.
    pub(crate) async fn told(&self, kind: &str, participant: &str) -> Value {
        let is_it =
            |alert: &&Value| alert["type"] == kind && alert["data"]["participant"] == participant;
        eventually(&format!("the alert {kind} about {participant}"), || async {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.iter().find(is_it).cloned()
        })
        .await
    }
}

impl Drop for Pager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(told): State<Told>, Json(alert): Json<Value>) {
    told.lock().unwrap_or_else(PoisonError::into_inner).push(alert);
}
