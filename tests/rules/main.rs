//! Rules about the repository itself: who may import whom, what a file may look like, which
//! licences our dependencies may have, what its scripts do where they cannot.

mod documents;
mod imports;
mod licences;
mod log_lines;
mod promises;
mod queries;
mod runbook;
mod signatures;
mod sources;
mod tools;
