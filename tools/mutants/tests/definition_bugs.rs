//! The bugs of definitions of sagas and of what their runs are compared with.

use crate::bugs::Bug;
use crate::bugs::CaughtBy::WireTests;

pub(crate) const DEFINITION_BUGS: &[Bug] = &[
    Bug {
        name: "P2: a run of another version is taken for a repeat",
        file: "crates/wire/src/request/fingerprint.rs",
        instead_of: "content.field(\"version\", &version.to_string());",
        put: "let _ = version;",
        caught_by: WireTests("request::check_saga"),
    },
    Bug {
        name: "P2: a run of another saga is taken for a repeat",
        file: "crates/wire/src/request/fingerprint.rs",
        instead_of: "content.field(\"saga\", saga);",
        put: "let _ = saga;",
        caught_by: WireTests("request::check_saga"),
    },
    Bug {
        name: "P2: a definition with another schema is taken for the same",
        file: "crates/wire/src/request/fingerprint.rs",
        instead_of: "content.field(\"input_schema\", schema);",
        put: "let _ = schema;",
        caught_by: WireTests("request::check_saga"),
    },
    Bug {
        name: "a run forgets what it is a run of",
        file: "crates/wire/src/request/check_saga.rs",
        instead_of: "TransactionOptions { saga: Some(saga), ..TransactionOptions::default() }.unless_empty();",
        put: "None;",
        caught_by: WireTests("request::check_saga"),
    },
];
