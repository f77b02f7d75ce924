//! Several nodes as processes on one database server: whatever is killed, stopped or frozen, all
//! that was begun ends, once. `tests/databases` starts the servers; without one this fails.

mod audit;
#[path = "../it/bodies.rs"]
mod bodies;
mod commits;
mod cutter;
mod database;
mod forwarding;
mod galera;
mod jobs;
mod load;
mod nodes;
mod pauses;
mod rolling;
mod sagas;
mod start;
mod take_over;
mod tls;
