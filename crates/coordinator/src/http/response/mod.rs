//! From values to responses: bodies, and problems. The one place that knows status codes.

pub(super) mod answer;
pub(super) mod problem;
