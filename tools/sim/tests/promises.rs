//! Twenty thousand worlds, and those that once showed a fault.

/// Enough that everything on the list of what must happen does.
const SEEDS: u64 = 20_000;

#[test]
fn every_promise_holds_in_twenty_thousand_worlds_and_all_that_can_happen_does() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcome = tercet_sim::run(1, SEEDS, threads);
    if let Some(failure) = outcome.failure {
        panic!("{failure}");
    }
    assert_eq!(outcome.missing, Vec::<String>::new(), "never happened");
}

#[test]
fn what_once_went_wrong_goes_right() {
    for (seed, showed) in tercet_sim::REGRESSIONS {
        if let Some(failure) = tercet_sim::run(*seed, 1, 1).failure {
            panic!("it once showed: {showed}\n{failure}");
        }
    }
}
