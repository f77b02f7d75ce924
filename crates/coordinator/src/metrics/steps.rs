//! Counts the calls of steps of definitions. Whoever puts definitions names their steps, so their number
//! is not ours to choose: the first two hundred get labels of their own, all others share one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use tercet_wire::{BranchId, Op, SagaName, metric};

use super::participants::CallResult;

/// How many steps have labels of their own.
const MAX_STEPS: usize = 200;
/// The labels of the rest.
const OTHER: &str = "other";

/// The steps that are counted by name.
#[derive(Debug, Default)]
pub struct StepMetrics {
    named: Mutex<BTreeMap<(SagaName, BranchId), Labels>>,
}

/// Of one step.
#[derive(Debug, Clone)]
struct Labels {
    saga: Arc<str>,
    step: Arc<str>,
}

impl StepMetrics {
    /// A call of a step has ended.
    pub fn ended(
        &self,
        (saga, step): (&SagaName, &BranchId),
        op: Op,
        result: CallResult,
        took: Duration,
    ) {
        let Labels { saga, step } = self.labels(saga, step);
        self.calls(&saga, &step, op, result).increment(1);
        self.durations(saga, step).record(took);
    }

    fn labels(&self, saga: &SagaName, step: &BranchId) -> Labels {
        // Nothing in here panics half-way, so a poisoned map is a whole one.
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (saga.clone(), step.clone());
        if let Some(known) = named.get(&key) {
            return known.clone();
        }
        if named.len() >= MAX_STEPS {
            return Labels { saga: Arc::from(OTHER), step: Arc::from(OTHER) };
        }
        let labels = Labels { saga: Arc::from(saga.as_str()), step: Arc::from(step.as_str()) };
        named.insert(key, labels.clone());
        labels
    }

    fn calls(&self, saga: &Arc<str>, step: &Arc<str>, op: Op, result: CallResult) -> Counter {
        counter!(
            metric::SAGA_STEPS,
            "saga" => Arc::clone(saga),
            "step" => Arc::clone(step),
            "op" => op.as_str(),
            "result" => result.as_str()
        )
    }

    fn durations(&self, saga: Arc<str>, step: Arc<str>) -> Histogram {
        histogram!(metric::SAGA_STEP_DURATION, "saga" => saga, "step" => step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps P9.
    #[test]
    fn the_two_hundred_and_first_step_shares_its_labels() {
        let steps = StepMetrics::default();
        let name = |n: usize| format!("s{n}").parse::<SagaName>().expect("a name");
        let step: BranchId = "flight".parse().expect("an id");
        for n in 0..MAX_STEPS {
            assert_eq!(&*steps.labels(&name(n), &step).saga, format!("s{n}"));
        }
        let other = steps.labels(&name(MAX_STEPS), &step);
        assert_eq!((&*other.saga, &*other.step), (OTHER, OTHER));
        assert_eq!(&*steps.labels(&name(0), &step).step, "flight");
    }
}
