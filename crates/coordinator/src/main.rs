//! The daemon `tercet`.

fn main() {
    let flags = tercet_coordinator::config::Flags::default();
    let _ = flags;
}
