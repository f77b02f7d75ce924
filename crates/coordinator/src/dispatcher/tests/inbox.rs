//! The runtime's side: an inbox in which every call has its place.

use tercet_engine::{Call, Ticket};
use tercet_wire::Answer;
use tokio::sync::mpsc;

use super::super::Dispatcher;
use super::{Outcome, Place, soon};

pub(super) struct Inbox {
    sender: mpsc::Sender<(Ticket, Outcome)>,
    receiver: mpsc::Receiver<(Ticket, Outcome)>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::channel(256);
        Self { sender, receiver }
    }

    pub(super) fn place(&self) -> Place {
        self.sender.clone().try_reserve_owned().expect("room in the inbox")
    }

    /// How many places are neither taken nor reserved.
    pub(super) fn free(&self) -> usize {
        self.sender.capacity()
    }

    pub(super) fn send(&self, dispatcher: &Dispatcher, call: Call) {
        dispatcher.send(call, self.place()).expect("room in the queue");
    }

    /// What came of the next call that ends.
    pub(super) async fn ended(&mut self) -> (Ticket, Outcome) {
        soon("an answer", self.receiver.recv()).await.expect("the inbox is open")
    }

    pub(super) async fn next(&mut self) -> (Ticket, Answer) {
        match self.ended().await {
            (ticket, Outcome::Answered(answer)) => (ticket, answer),
            (ticket, Outcome::NotMade) => panic!("the call of {} was not made", ticket.gid),
        }
    }

    pub(super) async fn answer(&mut self) -> Answer {
        self.next().await.1
    }

    /// Makes one call and waits for its answer.
    pub(super) async fn ask(&mut self, dispatcher: &Dispatcher, call: Call) -> Answer {
        let asked = call.ticket.clone();
        self.send(dispatcher, call);
        let (ticket, answer) = self.next().await;
        assert_eq!(ticket, asked);
        answer
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.receiver.try_recv().is_err()
    }
}
