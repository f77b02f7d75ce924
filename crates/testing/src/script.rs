//! What a participant does when it is called.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use tercet_wire::Op;
use tokio::sync::watch;

/// What a participant does with one call.
#[derive(Debug, Clone)]
pub struct Reaction {
    gate: Option<Gate>,
    deed: Deed,
}

#[derive(Debug, Clone)]
enum Deed {
    Answer { status: StatusCode, headers: Vec<(String, String)>, body: String },
    Close,
}

impl Reaction {
    /// Answers with this status and no body.
    ///
    /// # Panics
    /// It is no HTTP status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { gate: None, deed: Deed::Answer { status, headers: Vec::new(), body: String::new() } }
    }

    /// Closes the connection without an answer: the call may have had its effect.
    #[must_use]
    pub fn close() -> Self {
        Self { gate: None, deed: Deed::Close }
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match &mut self.deed {
            Deed::Answer { headers, .. } => headers.push((name.to_owned(), value.to_owned())),
            Deed::Close => panic!("a closed connection has no headers"),
        }
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, text: &str) -> Self {
        match &mut self.deed {
            Deed::Answer { body, .. } => text.clone_into(body),
            Deed::Close => panic!("a closed connection has no body"),
        }
        self
    }

    /// Not before the gate is open.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The answer when it is time for it; `None` closes the connection.
    pub(crate) async fn act(self) -> Option<Response<Full<Bytes>>> {
        if let Some(gate) = self.gate {
            gate.opened().await;
        }
        match self.deed {
            Deed::Close => None,
            Deed::Answer { status, headers, body } => {
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                Some(response.body(Full::from(body)).expect("headers that can be sent"))
            }
        }
    }
}

/// Holds answers back until the test lets them go. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    open: watch::Sender<bool>,
}

impl Gate {
    /// A gate that is closed.
    #[must_use]
    pub fn closed() -> Self {
        Self { open: watch::Sender::new(false) }
    }

    /// Lets go what is held, and whatever comes later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    async fn opened(&self) {
        // The sender lives as long as this clone of it, so the wait does not fail.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// What a participant does, by branch and call.
#[derive(Debug, Default)]
pub(crate) struct Script {
    next: BTreeMap<(String, Op), VecDeque<Reaction>>,
    always: BTreeMap<(String, Op), Reaction>,
}

impl Script {
    pub(crate) fn next(
        &mut self,
        branch: &str,
        op: Op,
        reactions: impl IntoIterator<Item = Reaction>,
    ) {
        self.next.entry((branch.to_owned(), op)).or_default().extend(reactions);
    }

    pub(crate) fn always(&mut self, branch: &str, op: Op, reaction: Reaction) {
        self.always.insert((branch.to_owned(), op), reaction);
    }

    /// What is done with this call: what was said for the next ones, else what was said
    /// for all, else 200.
    pub(crate) fn take(&mut self, branch: &str, op: Op) -> Reaction {
        let key = (branch.to_owned(), op);
        let next = self.next.get_mut(&key).and_then(VecDeque::pop_front);
        next.or_else(|| self.always.get(&key).cloned()).unwrap_or_else(|| Reaction::status(200))
    }
}
