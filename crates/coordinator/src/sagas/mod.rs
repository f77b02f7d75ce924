//! Definitions of sagas: what may be one, which versions there are, and what fits them.
//!
//! ```text
//!   PUT ─▶ check_saga ─▶ InputSchema::of (apart) ─▶ the newest ─ same ─▶ 200
//!                                                      │ other
//!                                                      ▼
//!                               revision n + 1, with its act ─ durable ─▶ 201
//!                                                      │ somebody was first
//!                                                      └──▶ the newest, again
//! ```
//!
//! The rows are the truth, and are read each time: whatever node has put a version, all know it at once.

mod apart;
mod definition;
mod input_schema;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use tercet_engine::{Act, SagaRevision};
use tercet_journal::{Journal, JournalError, ListedSaga, StoredSaga};
use tercet_wire::{
    ActId, Action, Invalid, Limits, Pointer, SagaName, SagaRequest, Wall, check_saga, saga_content,
};
use thiserror::Error;
use tokio::sync::Mutex;

use self::apart::Apart;
pub(crate) use self::definition::Definition;
use self::definition::Definitions;
use self::input_schema::InputSchema;

/// Names, retired ones too.
const MOST_NAMES: u64 = 1_000;
/// Versions of a name.
const MOST_VERSIONS: u32 = 1_000;
/// How often a change is tried where nodes compete for what follows.
const MOST_TRIES: u32 = 32;

/// What is wrong with a value, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) place: Pointer,
    pub(crate) what: String,
}

impl Wrong {
    fn new(place: Pointer, what: impl Into<String>) -> Self {
        Self { place, what: what.into() }
    }

    /// As what is wrong with a request that has the value in this field.
    fn in_field(self, field: &str) -> Invalid {
        let place = Pointer::root().field(field).within(self.place.as_str());
        Invalid::new(place.as_str().trim_start_matches('/').replace('/', "."), self.what).at(place)
    }
}

/// Why nothing came of a request about a definition.
#[derive(Debug, Error)]
pub(crate) enum SagaError {
    /// The request is at fault.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no definition of this name, or none in this version.
    #[error("{}", not_found(.name, *.version))]
    NotFound {
        /// The name.
        name: SagaName,
        /// The version that was asked for.
        version: Option<u32>,
    },
    /// It was retired.
    #[error("version {version} of {name} was retired")]
    Retired {
        /// The name.
        name: SagaName,
        /// The version.
        version: u32,
    },
    /// It could not be read.
    #[error("the journal cannot be read")]
    Unreadable(#[source] JournalError),
    /// It could not be written, or is not known to be.
    #[error("the journal cannot be written")]
    Unwritten(#[source] JournalError),
    /// A fault of ours.
    #[error("what is stored of {name} cannot be used: {why}")]
    Unusable {
        /// The name.
        name: SagaName,
        /// Why not.
        why: String,
    },
}

fn not_found(name: &SagaName, version: Option<u32>) -> String {
    match version {
        Some(version) => format!("there is no version {version} of a saga {name}"),
        None => format!("there is no saga {name}"),
    }
}

/// Who asks for a change, and when.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: ActId,
    pub(crate) at: Wall,
    pub(crate) who: Arc<str>,
    pub(crate) role: &'static str,
}

/// A version with all that is told of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) definition: Arc<Definition>,
    pub(crate) created_at: Wall,
    pub(crate) retired_at: Option<Wall>,
}

/// What a put has come to.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) found: Found,
    /// Whether it is a new version.
    pub(crate) is_new: bool,
}

/// The definitions that this database has.
pub struct Sagas {
    journal: Journal,
    /// One change at a time, so that those of this node do not compete.
    writing: Mutex<()>,
    definitions: Definitions,
    apart: Apart,
}

impl fmt::Debug for Sagas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sagas").finish_non_exhaustive()
    }
}

impl Sagas {
    /// Those of this journal.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        let (definitions, apart) = (Definitions::default(), Apart::default());
        Self { journal, writing: Mutex::default(), definitions, apart }
    }

    /// Names after this one, as they are now.
    pub(crate) async fn list(
        &self,
        after: Option<&SagaName>,
        limit: u32,
    ) -> Result<Vec<ListedSaga>, SagaError> {
        self.journal.sagas(after, limit).await.map_err(SagaError::Unreadable)
    }

    /// A version of a name, or its newest; retired ones too.
    pub(crate) async fn version(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Found, SagaError> {
        let stored = self.stored(name, version).await?;
        let found = stored.and_then(|stored| Some((stored.found?, stored.retired_at)));
        let Some((revision, retired_at)) = found else {
            return Err(SagaError::NotFound { name: name.clone(), version });
        };
        self.found(&revision, retired_at).await
    }

    /// Puts a definition; the same as the newest is that one.
    pub(crate) async fn put(
        &self,
        name: &SagaName,
        request: SagaRequest,
        limits: &Limits,
        asked: &Asked,
    ) -> Result<Put, SagaError> {
        check_saga(&request, limits)?;
        let input_schema = self.input_schema(request.input_schema.clone()).await?;
        let content = saga_content(&request, limits)?;
        let is_same = |revision: &SagaRevision| {
            let stored = document(revision).ok();
            stored.and_then(|(_, it)| saga_content(&it, limits).ok()).as_ref() == Some(&content)
        };
        let text = request.canonical();
        let _writing = self.writing.lock().await;
        for _ in 0..MOST_TRIES {
            let stored = self.stored(name, None).await?;
            let newest = stored.as_ref().map(|stored| &stored.newest);
            if let Some(newest) = newest.filter(|newest| !newest.retires())
                && is_same(newest)
            {
                return Ok(Put { found: self.found(newest, None).await?, is_new: false });
            }
            let (revision, version) = match newest {
                Some(newest) => (newest.revision + 1, newest.version + 1),
                None => self.first_of_a_name().await?,
            };
            if version > MOST_VERSIONS {
                let what = format!("has {MOST_VERSIONS} versions, as many as may be");
                return Err(Invalid::new("name", what).into());
            }
            let revision = SagaRevision {
                name: name.clone(),
                revision,
                version,
                document: Some(Arc::clone(&text)),
                at: asked.at,
                who: Arc::clone(&asked.who),
            };
            if self.written(Action::SagaPut, revision.clone(), asked).await? {
                let definition = Definition::new(&revision, text, request, input_schema);
                let definition = Arc::new(definition);
                self.definitions.keep(&definition);
                let found = Found { definition, created_at: asked.at, retired_at: None };
                return Ok(Put { found, is_new: true });
            }
        }
        Err(SagaError::Unwritten(JournalError::Overtaken))
    }

    /// Retires a name: what has begun goes on. Safe to repeat.
    pub(crate) async fn retire(&self, name: &SagaName, asked: &Asked) -> Result<(), SagaError> {
        let _writing = self.writing.lock().await;
        for _ in 0..MOST_TRIES {
            let Some(StoredSaga { newest, .. }) = self.stored(name, None).await? else {
                return Err(SagaError::NotFound { name: name.clone(), version: None });
            };
            if newest.retires() {
                return Ok(());
            }
            let revision = SagaRevision {
                revision: newest.revision + 1,
                document: None,
                at: asked.at,
                who: Arc::clone(&asked.who),
                ..newest
            };
            if self.written(Action::SagaRetire, revision, asked).await? {
                return Ok(());
            }
        }
        Err(SagaError::Unwritten(JournalError::Overtaken))
    }

    /// Whether an input is what this definition asks for.
    pub(crate) async fn check_input(
        &self,
        definition: &Arc<Definition>,
        input: &str,
    ) -> Result<(), SagaError> {
        let Some(schema) = &definition.input_schema else { return Ok(()) };
        let input: Value = serde_json::from_str(input)
            .map_err(|error| Wrong::new(Pointer::root(), error.to_string()).in_field("input"))?;
        let checked = if schema.is_quick(&input) {
            schema.check(&input)
        } else {
            let apart = Arc::clone(definition);
            let check = move || match &apart.input_schema {
                Some(schema) => schema.check(&input),
                None => Ok(()),
            };
            let checked = self.apart.done(check).await;
            checked.ok_or_else(|| SagaError::Unusable {
                name: definition.saga.name.clone(),
                why: "an input could not be checked".to_owned(),
            })?
        };
        checked.map_err(|wrong| wrong.in_field("input").into())
    }

    async fn stored(
        &self,
        name: &SagaName,
        version: Option<u32>,
    ) -> Result<Option<StoredSaga>, SagaError> {
        self.journal.saga(name, version).await.map_err(SagaError::Unreadable)
    }

    /// Its first revision and version, if there may be one more name.
    async fn first_of_a_name(&self) -> Result<(u32, u32), SagaError> {
        let names = self.journal.count_sagas().await.map_err(SagaError::Unreadable)?;
        if names >= MOST_NAMES {
            let what = format!("would be one more than {MOST_NAMES}, as many as may be");
            return Err(Invalid::new("name", what).into());
        }
        Ok((1, 1))
    }

    /// Whether it was written; if not, somebody else was first.
    async fn written(
        &self,
        action: Action,
        revision: SagaRevision,
        asked: &Asked,
    ) -> Result<bool, SagaError> {
        let detail = serde_json::json!({
            "saga": revision.name.as_str(),
            "version": revision.version,
        });
        let act = Act {
            id: asked.id,
            at: asked.at,
            who: Arc::clone(&asked.who),
            role: Arc::from(asked.role),
            action,
            gid: None,
            branch: None,
            note: None,
            detail: Arc::from(detail.to_string()),
        };
        match self.journal.revise(act, revision).await {
            Ok(()) => Ok(true),
            Err(JournalError::Overtaken) => Ok(false),
            Err(error) => Err(SagaError::Unwritten(error)),
        }
    }

    async fn found(
        &self,
        revision: &SagaRevision,
        retired_at: Option<Wall>,
    ) -> Result<Found, SagaError> {
        let definition = match self.definitions.get(revision) {
            Some(definition) => definition,
            None => {
                let unusable =
                    |why: String| SagaError::Unusable { name: revision.name.clone(), why };
                let (text, request) = document(revision).map_err(unusable)?;
                let schema = self.input_schema(request.input_schema.clone()).await;
                let schema = schema.map_err(|error| unusable(error.to_string()))?;
                let definition = Arc::new(Definition::new(revision, text, request, schema));
                self.definitions.keep(&definition);
                definition
            }
        };
        Ok(Found { definition, created_at: revision.at, retired_at })
    }

    async fn input_schema(&self, schema: Option<Value>) -> Result<Option<InputSchema>, Invalid> {
        let Some(schema) = schema else { return Ok(None) };
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            let what = "must be a JSON Schema: an object, or true or false";
            return Err(Wrong::new(Pointer::root(), what).in_field("input_schema"));
        }
        let made = self.apart.done(move || InputSchema::of(&schema)).await;
        let unmade = || Wrong::new(Pointer::root(), "cannot be looked at");
        let made = made.unwrap_or_else(|| Err(unmade()));
        made.map(Some).map_err(|wrong| wrong.in_field("input_schema"))
    }
}

/// A version as it is stored.
fn document(revision: &SagaRevision) -> Result<(Arc<str>, SagaRequest), String> {
    let text = revision.document.clone().ok_or("it has no document")?;
    let request = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok((text, request))
}
