//! The whole system from outside: the real program on SQLite, participants that do what the
//! test says, and the contract on the wire as the only yardstick. One binary with a module
//! per subject; each test has its own processes, its own directory and its own ports.

mod alerts;
mod begin;
mod bodies;
mod calls;
mod cancel_first;
mod command_line;
mod config;
mod content;
mod crash;
mod crash_load;
mod daemon;
mod disk_full;
mod expected;
mod health;
mod journal;
mod journal_hold;
mod limits;
mod lists;
mod logs;
mod metrics;
mod open;
mod open_files;
mod open_races;
mod operator;
mod operator_races;
mod own_address;
mod poison;
mod probes;
mod problems;
mod problems_invalid;
mod ran;
mod raw;
mod recovery;
mod retention;
mod settings;
mod shutdown;
mod stats;
mod strangers;
mod surface;
mod tx_cli;
mod verdicts;
mod verdicts_oddities;
mod waits;
mod waits_open;
