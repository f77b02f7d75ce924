//! The only module with an HTTP client: calls to participants.
