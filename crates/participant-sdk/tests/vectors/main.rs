//! This library is held to the same vectors as those in other languages: `sdk/vectors`. Signatures are
//! looked at where the clock can be set, in `src/signed_calls.rs`.

mod answers;
mod begins;
mod coordinator;
mod headers;
mod rules;
#[cfg(feature = "sqlite")]
mod said;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The cases of a file.
pub(crate) fn cases<T: DeserializeOwned>(file: &str) -> Vec<T> {
    #[derive(Deserialize)]
    struct File<T> {
        cases: Vec<T>,
    }
    let path = format!("{}/../../sdk/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("a file of vectors");
    let read: File<T> = serde_json::from_str(&text).expect("vectors");
    assert!(!read.cases.is_empty(), "{file} has no cases");
    read.cases
}
