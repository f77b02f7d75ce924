//! Schemas that no derive can make: words that a macro was given, and counts by leg.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::PerOp;

/// The schema of an enumeration by the words that it has on the wire.
macro_rules! words {
    ($name:ident, $doc:expr, $($word:literal => $variant_doc:expr),+) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::schema::of_words($doc, &[$(($word, $variant_doc)),+])
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($name))
            }
        }
    };
}
pub(crate) use words;

/// What it is, and each word with what it means.
pub(crate) fn of_words(about: &str, words: &[(&str, &str)]) -> RefOr<Schema> {
    let about = about.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut description = about.trim().to_owned();
    for (word, meaning) in words {
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        description.push_str(&format!("\n`{word}`: {meaning}"));
    }
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words.iter().map(|(word, _)| *word)));
    RefOr::T(schema.build().into())
}

impl PartialSchema for PerOp<u32> {
    fn schema() -> RefOr<Schema> {
        let count = |of: &str| {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
                .minimum(Some(0))
                .description(Some(format!("Of {of}.")))
        };
        let schema = ObjectBuilder::new()
            .description(Some("Calls made, by leg."))
            .property("try", count("Try"))
            .property("confirm", count("Confirm"))
            .property("cancel", count("Cancel"))
            .required("try")
            .required("confirm")
            .required("cancel");
        RefOr::T(schema.build().into())
    }
}

impl ToSchema for PerOp<u32> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Attempts")
    }
}
