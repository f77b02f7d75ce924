//! From values to responses: bodies, and problems. The one place that knows status codes.

pub(super) mod problem;
pub(super) mod reply;
