//! Reads side by side.

use sea_orm::TransactionTrait;
use tercet_protocol::{Load, Wall};

use super::super::super::conformance::{Rig, patiently, trying};
use super::super::super::store::{Most, Store};
use super::super::{Address, Database};

#[tokio::test]
async fn the_nodes_own_reads_wait_for_no_list() {
    let mut rig = Rig::on_sqlite();
    rig.settings.read_connections = 1;
    let address = Address::parse(&rig.settings.database_url).unwrap();
    let database = Database::open_unlocked(&address, &rig.next_life(), Wall(0)).await.unwrap();
    // As long as it lasts, a list that is slow has this connection.
    let list = database.showing.begin().await.unwrap();
    let gid = trying("tx-1", 1, 0).gid.clone();
    let loaded = patiently(database.load(std::slice::from_ref(&gid))).await.unwrap();
    assert_eq!(loaded, [(gid, Load::Nothing)]);
    assert!(patiently(database.sweep(None, 1)).await.unwrap().is_empty());
    assert!(patiently(database.unfinished(None, 1)).await.unwrap().is_empty());
    let most = Most { transactions: 1, rows: 1 };
    let due = patiently(database.due_for_forgetting(Wall::MAX, most)).await.unwrap();
    assert!(due.gids.is_empty());
    assert_eq!(patiently(database.count_finished()).await.unwrap(), 0);
    list.rollback().await.unwrap();
}
