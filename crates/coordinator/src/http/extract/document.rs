//! A body that says where in it something is wrong: by a pointer, beside the words.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use tercet_wire::{Invalid, Object, Pointer};

use crate::http::extract::body::{read, without_mark};
use crate::http::response::problem::Failure;
use crate::http::state::Api;

/// A body that must be there.
#[derive(Debug)]
pub(in crate::http) struct Document<T>(pub(in crate::http) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Document<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        match read(request, &api.requests).await? {
            Some(received) => Ok(Self(parse(received.text())?)),
            None => Err(Invalid::new("body", "is empty; send a JSON object").into()),
        }
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Invalid> {
    let mut from = serde_json::Deserializer::from_str(without_mark(text));
    let value = serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let (path, place) = (error.path().to_string(), place(error.path()));
        let error = error.into_inner();
        // Where the text is no JSON at all, the path is only how far it was read.
        match error.is_data() {
            true if path != "." => Invalid::new(path, error).at(place),
            true => Invalid::new("body", error).at(place),
            false => Invalid::new("body", error),
        }
    })?;
    from.end().map_err(|error| Invalid::new("body", error))?;
    let Object(value) = value;
    Ok(value)
}

fn place(path: &Path) -> Pointer {
    path.iter().fold(Pointer::root(), |place, segment| match segment {
        Segment::Seq { index } => place.item(*index),
        Segment::Map { key } => place.field(key),
        // There is neither in a document of ours.
        Segment::Enum { .. } | Segment::Unknown => place,
    })
}

#[cfg(test)]
mod tests {
    use tercet_wire::SagaRequest;

    use super::*;

    #[test]
    fn a_problem_of_a_document_has_its_place() {
        let step = r#""steps":[{"id":"a","action":"http://h/a"},"#;
        for (text, place, what) in [
            ("[]".to_owned(), "", "an object"),
            (r#"{"step":[]}"#.to_owned(), "/step", "unknown field"),
            (r#"{"timeout_ms":"5"}"#.to_owned(), "/timeout_ms", "whole number"),
            (format!(r#"{{{step}{{"ids":"b"}}]}}"#), "/steps/1/ids", "unknown field"),
            (format!(r#"{{{step}{{"id":7}}]}}"#), "/steps/1/id", "invalid type"),
            (format!(r#"{{{step}[]]}}"#), "/steps/1", "an object"),
            (format!(r#"{{{step}{{"headers":{{"x/y":1}}}}]}}"#), "/steps/1/headers/x~1y", "string"),
            (format!(r#"{{{step}{{"after":[1]}}]}}"#), "/steps/1/after/0", "string"),
        ] {
            let invalid = parse::<SagaRequest>(&text).expect_err(&text);
            assert_eq!(invalid.pointer.as_ref().map(Pointer::as_str), Some(place), "{text}");
            assert!(invalid.what.contains(what), "{text}: {invalid}");
        }
        let invalid = parse::<SagaRequest>("{").expect_err("it has no end");
        assert_eq!((invalid.field.as_str(), invalid.pointer), ("body", None));
    }
}
