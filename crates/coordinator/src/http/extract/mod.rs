//! From a request to values: paths, queries, bodies, and who asks.

pub(super) mod acting;
pub(super) mod body;
pub(in crate::http) mod budget;
pub(super) mod document;
pub(super) mod filter;
pub(super) mod gid_path;
pub(super) mod include;
pub(super) mod job_filter;
pub(super) mod job_path;
pub(super) mod params;
pub(super) mod participant_path;
pub(super) mod peer;
pub(super) mod saga_path;
pub(super) mod wait;
