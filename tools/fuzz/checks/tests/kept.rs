//! Every kept input, and thousands of mutants of them, always the same ones: what the fuzzers
//! have found once is looked at in every run of the tests, without them.

mod mutation;

use std::path::PathBuf;
use std::{fs, panic};

use mutation::Mutation;
use tercet_fuzz_checks::TARGETS;

/// The kept inputs of a target, by name.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let data = fs::read(&path).expect("a file");
        (path, data)
    };
    paths.into_iter().map(read).collect()
}

/// Runs a check on its corpus and so many mutants.
fn holds(target: &str, mutants: u64) {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let kept = corpus(target);
    assert!(!kept.is_empty(), "{target} has no corpus");
    for (path, data) in &kept {
        if panic::catch_unwind(|| check(data)).is_err() {
            panic!("{} breaks a promise", path.display());
        }
    }
    let inputs: Vec<&[u8]> = kept.iter().map(|(_, data)| data.as_slice()).collect();
    for number in 0..mutants {
        let mutant = Mutation::of(number).apply(&inputs);
        if panic::catch_unwind(|| check(&mutant)).is_err() {
            let text = String::from_utf8_lossy(&mutant);
            panic!("mutant {number} of {target} breaks a promise: {mutant:?}\n{text}");
        }
    }
}

#[test]
fn nobody_is_let_in_whose_token_is_not_known() {
    holds("access", 6_000);
}

#[test]
fn bodies_mean_the_same_however_they_are_written_and_refusals_name_a_field() {
    holds("bodies", 10_000);
}

#[test]
fn who_is_denied_is_denied_in_every_spelling() {
    holds("calls", 20_000);
}

#[test]
fn every_refusal_of_the_face_is_a_problem_and_none_is_a_fault_of_ours() {
    holds("face", 4_000);
}

#[test]
fn headers_that_are_accepted_can_be_sent_and_any_key_means_once() {
    holds("headers", 6_000);
}

#[test]
fn what_begin_accepts_the_journal_writes_and_reads_back_as_the_same() {
    holds("journal", 2_000);
}

#[test]
fn damaged_rows_are_unreadable_or_driven_on_and_spoil_no_others() {
    holds("rows", 1_500);
}

#[test]
fn what_is_printed_parses_to_the_same() {
    holds("texts", 20_000);
}

#[test]
fn urls_that_are_accepted_can_be_called_and_never_lead_back() {
    holds("urls", 10_000);
}
