//! The daemon `tercet`.

fn main() {}
