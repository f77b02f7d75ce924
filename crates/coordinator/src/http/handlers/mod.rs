//! One file for each endpoint: extract, ask, translate.

pub(super) mod audit;
pub(super) mod begin;
pub(super) mod decide;
pub(super) mod events;
pub(super) mod health;
pub(super) mod jobs;
pub(super) mod left;
pub(super) mod list;
pub(super) mod participants;
pub(super) mod pause;
pub(super) mod register;
pub(super) mod resolve;
pub(super) mod restored;
pub(super) mod retry;
pub(super) mod retry_all;
pub(super) mod sagas;
pub(super) mod show;
pub(super) mod stats;
