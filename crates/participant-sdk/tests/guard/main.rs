//! The guard on real databases, one suite for all: its table end to end, its promises under
//! concurrency, and what it keeps and forgets.
//!
//! SQLite is always there. PostgreSQL and MySQL (or MariaDB) are the features `postgres` and `mysql`, and a
//! server for each: `tests/databases cargo test -p tercet-participant --features postgres,mysql`.

mod books;
mod cases;
mod contention;
#[path = "../support/database.rs"]
mod database;
mod group;
mod keeping;
mod obedient;
mod races;
mod service;
mod sql;

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
        suite! { sqlite_group_commit, SqliteGroupCommit: $($cases)* }
        #[cfg(feature = "postgres")]
        suite! { postgres, Postgres: $($cases)* }
        #[cfg(feature = "mysql")]
        suite! { mysql, Mysql: $($cases)* }
    };
}

on_every_database! {
    cases {
        each_call_twice_has_its_effect_once,
        an_empty_cancel_is_acknowledged_and_its_hanging_try_refused,
        a_decision_is_not_undone_by_its_opposite,
        a_confirm_without_a_try_is_run_only_where_there_is_no_try_to_wait_for,
        another_life_of_a_gid_is_another_transaction,
        a_try_long_after_its_deadline_is_refused,
        a_refused_try_leaves_nothing_behind,
        a_payload_that_cannot_be_read_is_refused_and_cancelled_all_the_same,
        what_fails_after_it_has_written_has_written_nothing,
        what_was_rolled_back_is_never_called_done,
        a_panic_is_a_failure_of_that_call_alone,
        a_call_goes_on_when_its_caller_hangs_up,
        ids_that_differ_in_case_alone_are_two_transactions,
        the_cancel_of_effects_outside_is_run_though_no_try_was_recorded,
        a_repeated_try_is_answered_with_the_same_result,
        business_code_is_given_payload_and_results_apart,
    }
    contention {
        a_cancel_that_meets_its_try_still_running_asks_to_come_again,
        a_cancel_that_meets_its_try_in_another_process_asks_to_come_again,
        those_who_wait_leave_half_of_the_pool_to_others,
        a_deadlock_in_business_code_never_reaches_the_caller,
        those_who_wait_for_the_one_writer_keep_their_places,
    }
    races {
        a_try_racing_its_cancel_never_leaves_a_reservation,
        at_read_committed_a_race_has_one_outcome,
        at_repeatable_read_a_race_has_one_outcome,
        a_decision_that_comes_twice_at_once_is_run_once,
        transactions_that_meet_on_one_database_all_get_done,
    }
    keeping {
        several_processes_may_make_the_table_at_once,
        a_row_is_kept_for_a_month_after_the_last_call,
        a_reservation_that_waits_for_its_decision_is_never_purged,
        a_purge_takes_everything_in_batches,
        a_session_keeps_its_own_patience_for_locks,
    }
    books {
        books_say_what_was_done_for_each_branch,
        pages_have_every_row_once_whatever_comes_and_goes,
    }
    sql {
        what_the_page_says_in_sql_is_a_guard,
    }
}

suite! { one_commit_each, Sqlite:
    group {
        nobody_is_told_done_by_a_commit_that_failed,
    }
}

suite! { group_commit, SqliteGroupCommit:
    group {
        calls_that_wait_share_a_commit,
        what_a_call_did_not_do_leaves_the_others_whole,
        work_that_loses_the_sql_transaction_takes_nobody_along,
        nobody_is_told_done_by_a_commit_that_failed,
        a_call_that_cannot_be_committed_takes_nobody_along,
        nobody_is_refused_for_what_was_never_committed,
        calls_go_on_in_a_group_when_their_callers_hang_up,
        another_process_that_writes_is_waited_for,
        nobody_is_left_without_an_answer_by_slow_work_of_others,
    }
}
