//! The test kit against participants that are right, and against each way to be wrong.

mod program;
mod right;
mod wrong;

use std::time::Duration;

use serde_json::json;
use tercet_participant::test_kit::{Balances, KitError, Report, Rule, TestKit};
use tokio::task::JoinSet;
use wrong::Flaw;

fn kit(url: &str) -> TestKit {
    TestKit::new(format!("{url}/account"), &json!({"amount": 1}))
        .expect("JSON")
        .probe_url(format!("{url}/balances"))
        .reserved("frozen")
        .conserved("money", ["balance", "frozen", "spent"])
        .refused_payload(&json!({"amount": 1_000_000}))
        .expect("JSON")
        .rounds(4)
        .settling(Duration::from_millis(60))
}

async fn check(flaw: Flaw) -> Report {
    kit(&wrong::serve(flaw).await).run().await.expect("it can be checked")
}

#[tokio::test]
async fn a_right_participant_keeps_every_rule() {
    let report = check(Flaw::Nothing).await;
    assert!(report.is_green(), "{report}");
    assert!(report.checked.iter().eq(without_a_secret()), "{report}");
}

fn without_a_secret() -> impl Iterator<Item = &'static Rule> {
    Rule::ALL.iter().filter(|rule| **rule != Rule::OnlySigned)
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn signed_calls_are_checked_where_there_is_a_secret() {
    let secret = || SECRET.parse().expect("a secret");
    let right = kit(&wrong::serve_signed(Flaw::Nothing, SECRET).await).secret(secret()).run().await;
    let report = right.expect("it can be checked");
    assert!(report.is_green(), "{report}");
    assert_eq!(report.checked, Rule::ALL);
    // One that lets everybody through.
    let open = kit(&wrong::serve(Flaw::Nothing).await).secret(secret()).run().await;
    let report = open.expect("it can be checked");
    assert!(report.breaks(Rule::OnlySigned), "{report}");
    assert!(report.to_string().contains("an error, since it is not signed"), "{report}");
    // Without a secret it cannot even be begun with.
    let nobody = kit(&wrong::serve_signed(Flaw::Nothing, SECRET).await).run().await;
    assert!(matches!(nobody, Err(KitError::NoTry { .. })), "{nobody:?}");
}

#[tokio::test]
async fn every_flaw_is_caught_by_name() {
    #[rustfmt::skip]
    let table = [
        (Flaw::TryDoesNothing,         &[Rule::TryReserves][..]),
        (Flaw::ConfirmDoesNothing,     &[Rule::ConfirmTakes]),
        (Flaw::LeavesReservation,      &[Rule::CancelReleases]),
        (Flaw::LosesMoney,             &[Rule::Sums]),
        (Flaw::ReservesTwice,          &[Rule::RepeatedTry, Rule::RacingTries]),
        (Flaw::ConfirmsTwice,          &[Rule::RepeatedConfirm, Rule::RacingConfirms]),
        (Flaw::ReleasesTwice,          &[Rule::RepeatedCancel, Rule::RacingCancels]),
        (Flaw::RunsEmptyCancels,       &[Rule::EmptyCancel]),
        (Flaw::RefusesEmptyCancels,    &[Rule::EmptyCancel]),
        (Flaw::ForgetsEmptyCancels,    &[Rule::HangingTry]),
        (Flaw::AcceptsHangingTries,    &[Rule::HangingTry]),
        (Flaw::ForgetsConfirmed,       &[Rule::TryAfterConfirm, Rule::RepeatedConfirm]),
        (Flaw::ConfirmsUntried,        &[Rule::ConfirmWithoutTry]),
        (Flaw::ConfirmsCancelled,      &[Rule::ConfirmAfterCancel]),
        (Flaw::CancelsConfirmed,       &[Rule::CancelAfterConfirm, Rule::ConfirmRacingCancel]),
        (Flaw::FailsOnRepeats,         &[Rule::RepeatedTry, Rule::RepeatedConfirm,
                                         Rule::RepeatedCancel]),
        (Flaw::ReservesWhatItRefuses,  &[Rule::RefusedTry]),
        (Flaw::TrustsAttempts,         &[Rule::AttemptIsAHint]),
        (Flaw::RejectsUnknownHeaders,  &[Rule::UnknownHeaders]),
        (Flaw::DefaultsMissingHeaders, &[Rule::MissingHeaders]),
        (Flaw::KeyedByGidAlone,        &[Rule::OtherBranch]),
        (Flaw::GidByPrefix,            &[Rule::SimilarGids]),
        (Flaw::GidInAnyCase,           &[Rule::SimilarGids]),
        (Flaw::JoinsItsKeys,           &[Rule::SimilarGids]),
        (Flaw::IgnoresInstances,       &[Rule::SecondInstance]),
        (Flaw::RecordsAfterwards,      &[Rule::LostAnswers]),
        (Flaw::ChecksThenActs,         &[Rule::RacingTries, Rule::RacingConfirms,
                                         Rule::RacingCancels]),
        (Flaw::LosesUpdates,           &[Rule::BranchesAtOnce]),
    ];
    let mut checking = JoinSet::new();
    for (flaw, rules) in table {
        checking.spawn(async move { (flaw, rules, check(flaw).await) });
    }
    let mut missed = Vec::new();
    for (flaw, rules, report) in checking.join_all().await {
        for rule in rules.iter().filter(|rule| !report.breaks(**rule)) {
            missed.push(format!("{flaw:?} should break {rule}:\n{report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n---\n"));
}

#[tokio::test]
async fn a_report_says_what_was_sent_expected_and_seen() {
    let report = check(Flaw::RunsEmptyCancels).await;
    let breach = report.broken.iter().find(|breach| breach.rule == Rule::EmptyCancel);
    let breach = breach.expect("it is broken").to_string();
    let lines: Vec<&str> = breach.lines().collect();
    assert_eq!(
        lines[0],
        "empty-cancel: A Cancel whose Try never came is acknowledged and releases nothing."
    );
    assert!(lines[1].starts_with("  sent      cancel kit-"), "{breach}");
    assert!(lines[1].ends_with("→ 200 done"), "{breach}");
    assert_eq!(lines[2], "  expected  no change");
    assert_eq!(lines[3], "  seen      balance +1, frozen -1");
    let text = report.to_string();
    assert!(text.contains(&breach) && text.contains("seed 1"), "{text}");
}

#[tokio::test]
async fn what_was_not_checked_is_not_called_kept() {
    let url = wrong::serve(Flaw::Nothing).await;
    let report = kit(&url).at_most_calls(20).run().await.expect("it can be checked");
    assert!(report.broken.is_empty(), "{report}");
    assert!(!report.is_green());
    assert!(report.unchecked.contains(&(Rule::AnyOrder, "enough calls were made")), "{report}");
    let little = TestKit::new(format!("{url}/account"), &json!({})).expect("JSON").rounds(1);
    let report = little.probe_url(format!("{url}/balances")).run().await;
    let report = report.expect("it can be checked");
    assert!(report.is_green(), "{report}");
    let asked_for =
        |rule: &&Rule| !matches!(rule, Rule::Sums | Rule::RefusedTry | Rule::OnlySigned);
    assert!(report.checked.iter().eq(Rule::ALL.iter().filter(asked_for)), "{report}");
    let report = kit(&url).at_most(Duration::ZERO).run().await.expect("it can be checked");
    assert_eq!(report.unchecked.len(), without_a_secret().count());
    assert!(report.to_string().contains("the time was up"), "{report}");
}

#[tokio::test]
async fn without_a_good_try_or_a_probe_there_is_nothing_to_check() {
    let url = wrong::serve(Flaw::Nothing).await;
    let endpoint = format!("{url}/account");
    let alone = TestKit::new(&endpoint, &json!({})).expect("JSON");
    assert!(matches!(alone.run().await, Err(KitError::NoProbe)));
    let blind = alone.clone().probe(|| async { Err("the lights are out".to_owned()) });
    let error = blind.run().await.expect_err("blind").to_string();
    assert_eq!(error, "the balances cannot be read: the lights are out");
    let poor = TestKit::new(&endpoint, &json!({"amount": 1_000_000})).expect("JSON");
    let error = poor.probe(|| async { Ok(Balances::new()) }).run().await.expect_err("poor");
    assert!(error.to_string().contains("409 too much"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_participant_built_on_the_sdk_keeps_every_rule() {
    let directory = tempfile::tempdir().expect("a directory");
    let (url, db) = right::serve(&directory.path().join("account.db")).await;
    let report = TestKit::new(format!("{url}/account"), &json!({"amount": 1}))
        .expect("JSON")
        .probe(move || right::balances(db.clone()))
        .reserved("frozen")
        .conserved("money", ["balance", "frozen", "spent"])
        .refused_payload(&json!({"amount": 1_000_000}))
        .expect("JSON")
        .run()
        .await
        .expect("it can be checked");
    assert!(report.is_green(), "{report}");
    assert!(report.checked.iter().eq(without_a_secret()), "{report}");
}
