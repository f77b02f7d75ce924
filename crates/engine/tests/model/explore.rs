//! Walks all states of a model, and says how many there were.

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, HasDiscoveries, Model};

/// A state of which one can say which promise it breaks.
pub(crate) trait Explored {
    /// The first promise that was seen broken on the way to it.
    fn broken(&self) -> Option<&str>;
}

/// Fails if a property of the model does not hold, and says by which course of events.
pub(crate) fn explore<M>(name: &str, case: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Explored + Hash + Send + Sync + Debug + Clone + PartialEq,
    M::Action: Debug + Clone + PartialEq,
{
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker =
        case.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    println!("{name}: {} states, {} deep", checker.unique_state_count(), checker.max_depth());
    for (property, path) in checker.discoveries() {
        let last = path.last_state();
        println!("{property}: {:?}\n  by {:?}", last.broken(), path.clone().into_actions());
    }
    checker.assert_properties();
}
