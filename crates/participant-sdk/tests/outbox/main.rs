//! The outbox on real databases, one suite for all: what is sent, by how many, and what is left when a relay dies.

mod cases;
mod coordinator;
mod cuts;
#[path = "../support/database.rs"]
mod database;
mod killed;
mod sender;
mod several;

/// Makes a test of each case on one database.
macro_rules! suite {
    ($name:ident, $kind:ident: $($module:ident { $($case:ident),* $(,)? })*) => {
        mod $name {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let database =
                        crate::database::Database::create(crate::database::Kind::$kind).await;
                    crate::$module::$case(&database).await;
                    database.remove().await;
                }
            )*)*
        }
    };
}

/// The whole suite on every database.
macro_rules! on_every_database {
    ($($cases:tt)*) => {
        suite! { sqlite, Sqlite: $($cases)* }
        #[cfg(feature = "postgres")]
        suite! { postgres, Postgres: $($cases)* }
        #[cfg(feature = "mysql")]
        suite! { mysql, Mysql: $($cases)* }
    };
}

on_every_database! {
    cases {
        a_message_is_sent_if_its_transaction_commits_and_only_then,
        a_message_is_followed_to_its_end,
        a_deed_is_not_sent_twice,
        a_message_that_is_refused_is_dead_and_keeps_nobody_up,
        one_message_in_trouble_keeps_nobody_up,
        a_coordinator_that_is_away_only_delays,
        what_the_coordinator_forgot_is_not_begun_anew,
        what_ended_is_purged_and_nothing_else,
    }
    several {
        several_relays_hand_each_message_over_once,
        a_transaction_that_is_open_keeps_no_relay_waiting,
        who_has_lost_its_lease_writes_nothing,
        several_processes_may_make_the_table_at_once,
    }
    cuts {
        a_relay_that_dies_after_the_hand_over_leaves_it_to_the_next,
        a_relay_cut_at_any_step_loses_nothing_and_changes_nothing,
        a_round_cut_at_any_step_gives_its_connection_back,
    }
    killed {
        a_relay_that_is_killed_loses_nothing,
    }
}
