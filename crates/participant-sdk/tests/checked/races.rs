//! The commit and the question at once, in two sessions.

use sea_orm::IsolationLevel;
use tercet_participant::NotRecorded;

use crate::database::Database;
use crate::initiator::Initiator;

/// Keeps P2, P7.
pub(crate) async fn who_asks_while_the_work_is_open_is_told_to_come_again(database: &Database) {
    let (one, other) = (Initiator::start(database).await, Initiator::start(database).await);
    for (gid, commits) in [("committed", true), ("rolled-back", false)] {
        let work = one.works(gid, None).await.expect("nobody asked");
        assert_eq!(other.asked(gid).await, 202, "it may still end either way");
        if commits {
            work.commit().await.expect("it was not told that it never would");
        } else {
            work.rollback().await.expect("a rollback");
        }
        let (told, deeds) = if commits { (200, 1) } else { (410, 0) };
        assert_eq!(other.told(gid).await, told, "{gid}");
        assert_eq!(one.deeds(gid).await, deeds, "{gid}");
    }
}

/// Keeps P2, P7.
pub(crate) async fn a_commit_races_its_question_and_one_of_them_wins(database: &Database) {
    race(database, None).await;
}

/// Keeps P2, P7.
pub(crate) async fn at_repeatable_read_a_commit_races_its_question_too(database: &Database) {
    race(database, Some(IsolationLevel::RepeatableRead)).await;
}

/// Two processes: one works and commits while the other is asked, many times over.
async fn race(database: &Database, level: Option<IsolationLevel>) {
    let (one, other) = (Initiator::start(database).await, Initiator::start(database).await);
    let (mut done, mut never) = (0, 0);
    for number in 0..200 {
        let gid = format!("race-{number}");
        let work = tokio::spawn({
            let (one, gid) = (one.clone(), gid.clone());
            async move {
                let work = one.works(&gid, level).await?;
                work.commit().await.map_err(NotRecorded::from)
            }
        });
        // Who asks is given a start that grows, so that both come first now and then.
        for _ in 0..(number % 20) {
            tokio::task::yield_now().await;
        }
        let told = other.told(&gid).await;
        let worked = work.await.expect("no panic");
        let deeds = one.deeds(&gid).await;
        match (told, deeds) {
            (200, 1) => done += 1,
            (410, 0) => never += 1,
            wrong => panic!("{gid}: told and done are {wrong:?}, the work ended as {worked:?}"),
        }
        assert_eq!(worked.is_ok(), deeds == 1, "{gid}: {worked:?}");
        assert_eq!(other.asked(&gid).await, told, "what was told stays true");
    }
    assert!(done > 0 && never > 0, "both orders were seen: {done} done, {never} never");
}
