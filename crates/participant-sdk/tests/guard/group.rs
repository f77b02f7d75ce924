//! Calls that share a commit on SQLite.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::database::Database;
use crate::obedient::Scene;

/// How often a scene is played at most until calls have met in one group, which on a slow machine they need not.
const PLAYED_AT_MOST: u32 = 20;

/// Plays it with new gids, which have this behind them, until it says that it was seen.
async fn until_seen(mut play: impl AsyncFnMut(String) -> bool) {
    for time in 0..PLAYED_AT_MOST {
        if play(format!("-{time}")).await {
            return;
        }
    }
    panic!("calls have not met in {PLAYED_AT_MOST} times");
}

pub(crate) async fn calls_that_wait_share_a_commit(database: &Database) {
    let scene = Scene::start(database).await;
    let gids: Vec<String> = (0..30).map(|number| format!("a{number}")).collect();
    let calls: Vec<_> = gids.iter().map(|gid| (gid.as_str(), "nothing")).collect();
    let before = scene.commits.count();
    scene.run_together(&calls).await;
    let commits = scene.commits.count() - before;
    assert!(commits < 16, "{commits} commits for 32 calls");
    for gid in &gids {
        assert_eq!(scene.answer(gid, "nothing").await, "200 tried again");
        assert_eq!(scene.service.runs(gid).await, (1, 0, 0), "{gid}");
    }
}

/// Keeps P7.
pub(crate) async fn what_a_call_did_not_do_leaves_the_others_whole(database: &Database) {
    let scene = Scene::start(database).await;
    for (then, expected) in
        [("refuses", "409 told-to"), ("fails", "503 failed"), ("panics", "503 failed")]
    {
        until_seen(async |time| {
            let [one, bad, other] = ["one", "bad", "other"].map(|it| format!("{it}-{then}{time}"));
            scene.run_together(&[(&one, "nothing"), (&bad, then), (&other, "nothing")]).await;
            for good in [&one, &other] {
                assert_eq!(scene.answer(good, "nothing").await, "200 tried again");
                assert_eq!(scene.service.runs(good).await, (1, 0, 0), "{good}");
                assert_eq!(scene.begun(good), 1, "{good} was run again");
            }
            assert_eq!(scene.answer(&bad, then).await, expected);
            assert_eq!(scene.service.runs(&bad).await, (0, 0, 0), "{bad}");
            let group = scene.group_of(&bad);
            // Whoever panics ends the group.
            group.contains(&one) && (then == "panics" || group.contains(&other))
        })
        .await;
    }
}

/// Keeps P7. SQLite does the same by itself when the disk is full.
pub(crate) async fn work_that_loses_the_sql_transaction_takes_nobody_along(database: &Database) {
    let scene = Scene::start(database).await;
    until_seen(async |time| {
        let [one, bad, two, three] = ["1", "bad", "2", "3"].map(|it| format!("{it}{time}"));
        let [one_more, worse] = ["4", "worse"].map(|it| format!("{it}{time}"));
        let after = [(&*bad, "rolls-back"), (&*two, "nothing"), (&*three, "nothing")];
        scene.run_together(&[&[(&*one, "nothing")], &after[..]].concat()).await;
        let (gate, held) = scene.hold().await;
        let told = scene.call_in_turn(&one_more, "nothing").await;
        // Nobody comes behind it, so that it is the one who commits.
        let last = scene.call_in_turn(&worse, "begins-anew").await;
        drop(gate);
        drop((held.await, told.await, last.await));
        for good in [&one, &two, &three, &one_more] {
            assert_eq!(scene.answer(good, "nothing").await, "200 tried again");
            assert_eq!(scene.service.runs(good).await, (1, 0, 0), "{good}");
        }
        assert_eq!(scene.answer(&bad, "rolls-back").await, "503 failed");
        assert_eq!(scene.service.runs(&bad).await, (0, 0, 0), "{bad}");
        scene.group_of(&bad).contains(&one) && scene.group_of(&worse).contains(&one_more)
    })
    .await;
}

/// Keeps P3, P7.
// There are enough calls for each connection to see more than one commit fail.
pub(crate) async fn nobody_is_told_done_by_a_commit_that_failed(database: &Database) {
    let scene = Scene::start(database).await;
    let gids: Vec<String> = (0..20).map(|number| format!("a{number}")).collect();
    let (gate, held) = scene.hold().await;
    let mut calls = vec![held];
    for gid in &gids {
        calls.push(scene.call_in_turn(gid, "nothing").await);
    }
    scene.commits.are_broken.store(true, Ordering::SeqCst);
    drop(gate);
    for call in calls {
        let told = call.await.expect("no panic").words();
        assert!(["503 failed", "202 in-progress"].contains(&told.as_str()), "{told}");
    }
    for gid in &gids {
        assert_eq!(scene.answer(gid, "nothing").await, "503 failed");
    }
    scene.commits.are_broken.store(false, Ordering::SeqCst);
    for gid in &gids {
        assert_eq!(scene.service.runs(gid).await, (0, 0, 0), "{gid}");
        assert_eq!(scene.answer(gid, "nothing").await, "200 tried");
        assert_eq!(scene.service.runs(gid).await, (1, 0, 0), "{gid}");
    }
}

/// Keeps P7.
pub(crate) async fn a_call_that_cannot_be_committed_takes_nobody_along(database: &Database) {
    let scene = Scene::start(database).await;
    until_seen(async |time| {
        let [one, bad, other] = ["one", "bad", "other"].map(|it| format!("{it}{time}"));
        scene.run_together(&[(&one, "nothing"), (&bad, "spoils"), (&other, "nothing")]).await;
        for good in [&one, &other] {
            assert_eq!(scene.answer(good, "nothing").await, "200 tried again");
            assert_eq!(scene.service.runs(good).await, (1, 0, 0), "{good}");
        }
        assert_eq!(scene.answer(&bad, "spoils").await, "503 failed");
        assert_eq!(scene.service.runs(&bad).await, (0, 0, 0), "{bad}");
        scene.group_of(&bad).contains(&one)
    })
    .await;
}

/// Keeps P7.
pub(crate) async fn nobody_is_refused_for_what_was_never_committed(database: &Database) {
    let scene = Scene::start(database).await;
    until_seen(async |time| {
        let [first, second] = ["first", "second"].map(|it| format!("{it}{time}"));
        let (gate, held) = scene.hold().await;
        let takes = scene.call_in_turn(&first, "takes-and-spoils").await;
        let takes_too = scene.call_in_turn(&second, "takes").await;
        // Whoever is the last commits, and so knows at once.
        let third = scene.call_in_turn(&format!("third{time}"), "nothing").await;
        drop(gate);
        drop(held.await.expect("no panic"));
        assert_ne!(takes.await.expect("no panic").status, 200);
        assert_eq!(takes_too.await.expect("no panic").words(), "200 tried");
        assert!(third.await.expect("no panic").status.is_success());
        scene.service.db.execute_unprepared("DELETE FROM taken").await.expect("given back");
        scene.group_of(&first).contains(&second)
    })
    .await;
}

pub(crate) async fn calls_go_on_in_a_group_when_their_callers_hang_up(database: &Database) {
    let scene = Scene::start(database).await;
    let (gate, held) = scene.hold().await;
    let calls = ["a", "b", "c"].map(|gid| scene.call(gid, "nothing"));
    for call in calls {
        assert_eq!(call.await.expect("no panic").words(), "202 in-progress");
    }
    held.abort();
    assert!(held.await.expect_err("aborted").is_cancelled());
    drop(gate);
    for gid in ["held-0", "a", "b", "c"] {
        assert_eq!(scene.answer(gid, "nothing").await, "200 tried again");
        assert_eq!(scene.service.runs(gid).await, (1, 0, 0), "{gid}");
    }
}

/// Keeps P7.
pub(crate) async fn another_process_that_writes_is_waited_for(database: &Database) {
    let scene = Scene::start(database).await;
    let other = database.connect(1).await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.expect("it writes");
    let calls = ["a", "b", "c"].map(|gid| scene.call(gid, "nothing"));
    for call in calls {
        // Not that it failed.
        assert_eq!(call.await.expect("no panic").words(), "202 in-progress");
    }
    other.execute_unprepared("COMMIT").await.expect("it has written");
    for gid in ["a", "b", "c"] {
        assert!(scene.answer(gid, "nothing").await.starts_with("200 tried"), "{gid}");
        assert_eq!(scene.service.runs(gid).await, (1, 0, 0), "{gid}");
    }
}

/// Silence would count as a failure.
pub(crate) async fn nobody_is_left_without_an_answer_by_slow_work_of_others(database: &Database) {
    let scene = Scene::start(database).await;
    until_seen(async |time| {
        let [quick, slow] = ["quick", "slow"].map(|it| format!("{it}{time}"));
        let second_gate = scene.second_gate.write().await;
        let (gate, held) = scene.hold().await;
        let done = scene.call_in_turn(&quick, "nothing").await;
        let slow_done = scene.call_in_turn(&slow, "waits-longer").await;
        drop(gate);
        scene.at_gate.notified().await;
        let met = scene.group_of(&slow).contains(&quick);
        let told = tokio::time::timeout(Duration::from_secs(20), done).await;
        let told = told.expect("it is answered while the other works").expect("no panic");
        assert!(!met || told.status == 202, "{}", told.words());
        drop(second_gate);
        drop((held.await.expect("no panic"), slow_done.await.expect("no panic")));
        for gid in [&quick, &slow] {
            assert_eq!(scene.answer(gid, "nothing").await, "200 tried again");
            assert_eq!(scene.service.runs(gid).await, (1, 0, 0), "{gid}");
        }
        met
    })
    .await;
}
