//! The initiator's side of `check` on real databases, one suite for all.

mod cases;
#[path = "../support/database.rs"]
mod database;
mod initiator;
mod races;

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
        what_committed_is_told_so_and_what_did_not_never_commits,
        what_was_rolled_back_never_happened,
        a_deed_is_not_done_twice,
        a_question_that_is_none_is_refused,
        a_purge_leaves_what_may_be_asked_for,
    }
    races {
        who_asks_while_the_work_is_open_is_told_to_come_again,
        a_commit_races_its_question_and_one_of_them_wins,
        at_repeatable_read_a_commit_races_its_question_too,
    }
}
