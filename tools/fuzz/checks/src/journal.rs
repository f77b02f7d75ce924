//! What begin accepts the journal can write, and reads back as the same.

use std::sync::{Mutex, PoisonError};

use tercet_engine::{Change, Load, StoredTransaction};
use tercet_wire::{BeginRequest, Spec};

use crate::bodies;
use crate::store::Store;

/// Transactions in the file before it is emptied.
const ROWS: u64 = 5_000;

static STORE: Mutex<Option<(Store, u64)>> = Mutex::new(None);

/// The body of a begin.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(Ok(begun)) = bodies::read::<BeginRequest>(text).map(bodies::begin) else { return };
    // A check that failed has left it in order: it only read.
    let mut store = STORE.lock().unwrap_or_else(PoisonError::into_inner);
    let (store, number) = store.get_or_insert_with(|| (Store::new(), 0));
    *number += 1;
    if *number % ROWS == 0 {
        let tables = ["global_transactions", "global_details", "branch_transactions"];
        let sql = tables.map(|table| format!("DELETE FROM {table}")).join(";");
        assert!(store.tamper(&sql));
    }
    let gid = format!("order-{number}").parse().expect("a gid");
    let spec = Spec { gid, ..begun.spec };
    let (gid, instance) = (spec.gid.clone(), spec.instance);
    let stored = StoredTransaction::begun(spec.into());
    let told = store.write(&gid, instance, vec![Change::Begun(stored.spec.clone())]);
    assert_eq!(told, [], "{text}");
    match store.load(&gid) {
        Load::Found(found) => {
            // The journal alone knows who drives it.
            let stored = StoredTransaction { owner: found.owner, ..stored };
            assert_eq!(*found, stored, "{text}");
        }
        other => panic!("{other:?} of {text}"),
    }
}
