//! `Idempotency-Key`, in memory and on real databases, one suite for all.

mod cases;
#[path = "../support/database.rs"]
mod database;
mod on_disk;
mod shop;

use database::{Database, Kind};
use shop::Home;

/// Makes a test of each case with keys kept there.
macro_rules! suite {
    ($name:ident, $home:expr, $module:ident: $($case:ident),* $(,)?) => {
        mod $name {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let home = $home;
                    crate::$module::$case(&home).await;
                    home.remove().await;
                }
            )*
        }
    };
}

/// The cases wherever keys are kept.
macro_rules! everywhere {
    ($($cases:tt)*) => {
        suite! { memory, Home::memory(), cases: $($cases)* }
        suite! { sqlite, Home::Database(Database::create(Kind::Sqlite).await), cases: $($cases)* }
        #[cfg(feature = "postgres")]
        suite! { postgres, Home::Database(Database::create(Kind::Postgres).await), cases: $($cases)* }
        #[cfg(feature = "mysql")]
        suite! { mysql, Home::Database(Database::create(Kind::Mysql).await), cases: $($cases)* }
    };
}

/// The cases on every database.
macro_rules! on_every_database {
    ($($cases:tt)*) => {
        suite! { sqlite_alone, Database::create(Kind::Sqlite).await, on_disk: $($cases)* }
        #[cfg(feature = "postgres")]
        suite! { postgres_alone, Database::create(Kind::Postgres).await, on_disk: $($cases)* }
        #[cfg(feature = "mysql")]
        suite! { mysql_alone, Database::create(Kind::Mysql).await, on_disk: $($cases)* }
    };
}

everywhere! {
    a_repeat_is_told_the_first_answer,
    a_repeat_that_meets_the_first_still_running_is_told_to_come_again,
    a_key_stands_for_one_request,
    a_patch_is_guarded_as_a_post_is,
    what_was_not_done_is_run_again,
    a_request_needs_a_key_where_one_is_required,
    a_request_goes_on_when_its_client_hangs_up,
    bodies_are_bounded,
    of_many_at_once_one_is_run,
    clients_that_are_told_apart_may_choose_the_same_key,
    other_methods_pass,
}

on_every_database! {
    a_lease_lives_while_the_handler_does,
    a_request_whose_process_died_is_run_again_once_its_lease_ran_out,
    an_answer_is_kept_for_its_time,
    of_many_that_find_an_expired_answer_one_is_run,
    a_purge_deletes_what_expired_and_the_oldest_beyond_the_bound,
    several_processes_may_make_the_table_at_once,
}
