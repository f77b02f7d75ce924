//! The HTTP face against an engine that answers as each test tells it to.

mod access;
mod bodies;
mod clients;
mod connections;
mod console;
mod counted;
mod face;
mod pages;
mod probes;
mod problems;
mod tls;
mod waits;
