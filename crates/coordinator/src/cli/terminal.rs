//! What is known of the terminal that is written to.

use std::env;
use std::io::{self, IsTerminal as _};

use rustix::termios::tcgetwinsize;

/// Columns where nobody says how many there are.
pub(super) const COLUMNS: usize = 80;
/// And rows.
const ROWS: usize = 24;
/// Fewer than these no table can be squeezed into.
const FEWEST: usize = 40;

/// Whether somebody watches what is printed.
pub(super) fn is_watched() -> bool {
    io::stdout().is_terminal()
}

/// Columns and rows of the terminal.
pub(super) fn size() -> (usize, usize) {
    let window = is_watched().then(|| tcgetwinsize(io::stdout()).ok()).flatten();
    let of_window = |cells: u16| Some(usize::from(cells)).filter(|cells| *cells > 0);
    let columns = window.and_then(|window| of_window(window.ws_col));
    let named = || env::var("COLUMNS").ok()?.parse().ok();
    let columns = columns.or_else(named).unwrap_or(COLUMNS).max(FEWEST);
    let rows = window.and_then(|window| of_window(window.ws_row)).unwrap_or(ROWS);
    (columns, rows)
}

/// Columns of the terminal.
pub(super) fn width() -> usize {
    size().0
}

/// Whether what is printed may have colours: on a terminal that has some, for people who want some
/// (<https://no-color.org>).
pub(super) fn has_colours() -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    is_watched() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
