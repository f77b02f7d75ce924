//! What every store must keep. Each promise is tested on memory, on SQLite and, where
//! `tests/databases` starts them, on servers alike, through the journal as the runtime uses it.

#![expect(clippy::unwrap_used, reason = "a test that unwraps nothing has failed")]

mod audit;
mod cluster;
#[cfg(feature = "databases")]
mod engine;
mod faults;
mod faulty;
mod guards;
mod holds;
mod jobs;
mod lists;
mod lives;
mod order;
mod paging;
mod pauses;
mod retention;
mod rig;
mod sagas;
mod script;
#[cfg(feature = "databases")]
mod servers;

#[cfg(feature = "databases")]
pub(super) use self::engine::Engine;
pub(super) use self::faulty::Fault;
pub(super) use self::holds::releases;
pub(super) use self::jobs::{revision, tick, ticked};
pub(super) use self::pauses::act_that_pauses;
#[cfg(feature = "databases")]
pub(super) use self::pauses::pause;
pub(super) use self::rig::{Rig, Running, patiently};
pub(super) use self::sagas::{act_that_puts, puts};
pub(super) use self::script::{
    Script, act, finished, open_transaction, record, tried, trying, with_options,
};
#[cfg(feature = "databases")]
pub(super) use self::servers::{until_known, until_somebody_waits};

/// Names a promise and runs its test on each kind of store.
macro_rules! on_each_store {
    ($($(#[$doc:meta])* $promise:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::in_memory()).await;
            })+
        }
        mod on_sqlite {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::on_sqlite()).await;
            })+
        }
        #[cfg(feature = "databases")]
        mod on_postgres {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::on_postgres()).await;
            })+
        }
        #[cfg(feature = "databases")]
        mod on_mysql {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::on_mysql()).await;
            })+
        }
    };
}
use on_each_store;

/// The same on each kind of store that nodes share.
macro_rules! on_each_shared_store {
    ($($(#[$doc:meta])* $promise:ident),+ $(,)?) => {
        mod in_shared_memory {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::in_shared_memory()).await;
            })+
        }
        #[cfg(feature = "databases")]
        mod on_postgres {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::on_postgres().of_several_nodes()).await;
            })+
        }
        #[cfg(feature = "databases")]
        mod on_mysql {
            $(#[tokio::test] async fn $promise() {
                super::$promise($crate::conformance::Rig::on_mysql().of_several_nodes()).await;
            })+
        }
    };
}
use on_each_shared_store;
