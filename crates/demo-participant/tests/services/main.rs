//! The services as processes, also the one in Python, called over HTTP as the coordinator calls them.

mod loyalty;
mod process;
mod service;
mod trip;
