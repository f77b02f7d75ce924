//! What the participant in memory has, and what it has noted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use tercet_participant::{Context, Recorded, State};

use super::GAP;

/// Account and guard.
#[derive(Default)]
pub(super) struct World {
    account: Mutex<Account>,
    rows: Mutex<BTreeMap<String, Recorded>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default, Clone, Copy)]
struct Account {
    balance: i64,
    frozen: i64,
    spent: i64,
}

/// A pause in which the caller's hanging up can end everything.
pub(super) async fn gap() {
    tokio::time::sleep(GAP).await;
}

impl World {
    pub(super) fn balances(&self) -> serde_json::Value {
        let Account { balance, frozen, spent } = *self.account();
        serde_json::json!({"balance": balance, "frozen": frozen, "spent": spent})
    }

    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    pub(super) fn recorded(&self, key: &str) -> Option<Recorded> {
        self.rows.lock().expect("rows").get(key).copied()
    }

    pub(super) fn record(&self, key: String, context: &Context) {
        let row = Recorded { instance: context.instance, state: State::after(context.op) };
        self.rows.lock().expect("rows").insert(key, row);
    }

    pub(super) fn forget(&self, key: &str) {
        self.rows.lock().expect("rows").remove(key);
    }

    /// What does not stay frozen or on the balance is spent.
    pub(super) fn add(&self, frozen: i64, balance: i64) {
        let mut account = self.account();
        account.frozen += frozen;
        account.balance += balance;
        // A flaw that makes money vanish moves three to one, which is nobody's loss on paper.
        if frozen == -1 && balance == 0 {
            account.spent += 1;
        }
    }

    /// Reads, takes its time, and writes back what it read and more.
    pub(super) async fn add_slowly(&self, (frozen, balance): (i64, i64)) {
        let read = *self.account();
        gap().await;
        *self.account() = read;
        self.add(frozen, balance);
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().expect("account")
    }
}
