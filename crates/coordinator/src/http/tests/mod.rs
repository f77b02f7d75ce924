//! The HTTP face against an engine that answers as each test tells it to.

mod bodies;
mod connections;
mod face;
mod pages;
mod problems;
mod waits;
