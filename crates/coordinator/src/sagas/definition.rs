//! Definitions that are ready to be run, kept as long as there is room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tercet_engine::SagaRevision;
use tercet_wire::{SagaName, SagaRequest, SagaVersion};

use super::input_schema::InputSchema;

/// Bytes that definitions may take that are kept, about.
const MOST_BYTES: usize = 64 << 20;
/// How many are kept.
const MOST: usize = 256;
/// What one takes beside its text and its schema.
const EACH: usize = 4_096;

/// A version of a definition, ready to be run.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) saga: SagaVersion,
    pub(crate) request: SagaRequest,
    pub(super) input_schema: Option<InputSchema>,
    /// As it is stored.
    document: Arc<str>,
}

impl Definition {
    pub(super) fn new(
        revision: &SagaRevision,
        document: Arc<str>,
        request: SagaRequest,
        input_schema: Option<InputSchema>,
    ) -> Self {
        let saga = SagaVersion { name: revision.name.clone(), version: revision.version };
        Self { saga, request, input_schema, document }
    }

    fn weight(&self) -> usize {
        let schema = self.input_schema.as_ref().map_or(0, InputSchema::weight);
        EACH + self.document.len() * 4 + schema
    }
}

/// Those that were asked for last.
#[derive(Debug, Default)]
pub(super) struct Definitions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_version: BTreeMap<(SagaName, u32), (u64, Arc<Definition>)>,
    bytes: usize,
    asked: u64,
}

impl Definitions {
    /// One that is kept, if it is what is stored: a version never changes, but the database may be
    /// another than it was.
    pub(super) fn get(&self, revision: &SagaRevision) -> Option<Arc<Definition>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let asked = kept.asked;
        let (at, definition) =
            kept.by_version.get_mut(&(revision.name.clone(), revision.version))?;
        *at = asked;
        let is_it = revision.document.as_ref() == Some(&definition.document);
        is_it.then(|| Arc::clone(definition))
    }

    /// Keeps one, and lets go of those that nobody has asked for longest.
    pub(super) fn keep(&self, definition: &Arc<Definition>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let key = (definition.saga.name.clone(), definition.saga.version);
        let entry = (kept.asked, Arc::clone(definition));
        if let Some((_, before)) = kept.by_version.insert(key, entry) {
            kept.bytes -= before.weight();
        }
        kept.bytes += definition.weight();
        while kept.by_version.len() > MOST || kept.bytes > MOST_BYTES {
            let oldest = kept.by_version.iter().min_by_key(|(_, (asked, _))| *asked);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            if let Some((_, gone)) = kept.by_version.remove(&oldest) {
                kept.bytes -= gone.weight();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tercet_wire::Wall;

    use super::*;

    fn revision(version: u32, document: &str) -> SagaRevision {
        SagaRevision {
            name: "trip".parse().expect("a name"),
            revision: version,
            version,
            document: Some(Arc::from(document)),
            at: Wall(1),
            who: Arc::from("ann"),
        }
    }

    fn definition(version: u32, document: &str) -> Arc<Definition> {
        let request = SagaRequest::default();
        let of = revision(version, document);
        Arc::new(Definition::new(&of, Arc::from(document), request, None))
    }

    /// Keeps P9.
    #[test]
    fn definitions_that_are_kept_take_a_bounded_room() {
        let definitions = Definitions::default();
        let large = "x".repeat(1 << 20);
        for version in 1..=40 {
            definitions.keep(&definition(version, &large));
            assert!(definitions.get(&revision(1, &large)).is_some(), "it is asked for all along");
        }
        let kept =
            (1..=40).filter(|version| definitions.get(&revision(*version, &large)).is_some());
        assert_eq!(kept.count(), 15);
        for version in 100..1_000 {
            definitions.keep(&definition(version, "{}"));
        }
        let kept = definitions.0.lock().expect("nobody has failed");
        assert!(kept.by_version.len() <= MOST && kept.bytes <= MOST_BYTES);
    }

    #[test]
    fn what_is_kept_is_what_is_stored() {
        let definitions = Definitions::default();
        definitions.keep(&definition(1, "{}"));
        assert!(definitions.get(&revision(1, "{}")).is_some());
        assert!(definitions.get(&revision(1, "{\"steps\":[]}")).is_none());
        assert!(definitions.get(&revision(2, "{}")).is_none());
    }
}
