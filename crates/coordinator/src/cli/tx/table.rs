//! Text in columns that fits a terminal.

use unicode_width::UnicodeWidthStr as _;

use crate::cli::line::{Line, Tone, cut, wrapped};
use crate::cli::terminal::COLUMNS;
use crate::escape::for_people;

/// Blanks between two columns.
const GAP: usize = 2;
/// A column that is squeezed keeps so many characters.
const LEAST: usize = 8;
/// What stands below its row stands in so far.
const INDENT: usize = 4;

/// What stands in one column of a row.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    tone: Tone,
    text: String,
}

impl Cell {
    pub(super) fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone, text: for_people(&text.into()).into_owned() }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// Rows of cells, each column as wide as its widest cell, if there is room for that.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
    /// The last column has words of any length.
    ends_in_words: bool,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let headings = headings.iter().map(|heading| Cell::toned(Tone::Dim, *heading));
        Self { rows: vec![headings.collect()], ends_in_words: false }
    }

    /// One whose last column stands below its row where there is no room beside it.
    pub(super) fn with_words(headings: &[&str]) -> Self {
        Self { ends_in_words: true, ..Self::new(headings) }
    }

    pub(super) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The lines, without blanks at their ends, in the columns that every terminal has.
    pub(super) fn lines(&self) -> Vec<String> {
        self.fitted(COLUMNS).iter().map(|line| line.shown(false)).collect()
    }

    /// The lines in so many columns.
    pub(super) fn fitted(&self, width: usize) -> Vec<Line> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let beside = self.widths(columns);
        if total(&beside) <= width {
            return self.rows.iter().map(|row| in_line(row, &beside)).collect();
        }
        if !self.ends_in_words {
            let widths = squeezed(beside, width);
            return self.rows.iter().map(|row| in_line(row, &widths).cut(width)).collect();
        }
        let widths = squeezed(self.widths(columns - 1), width);
        let mut lines = Vec::new();
        for (place, row) in self.rows.iter().enumerate() {
            let (words, cells) = match row.split_last() {
                Some((words, cells)) if row.len() == columns => (Some(words), cells),
                _ => (None, row.as_slice()),
            };
            lines.push(in_line(cells, &widths).cut(width));
            // Headings stand above what they head, and this has none.
            let Some(words) = words.filter(|words| place > 0 && !words.text.is_empty()) else {
                continue;
            };
            for part in wrapped(&words.text, width - INDENT) {
                lines.push(Line::toned(words.tone, &format!("{:INDENT$}{part}", "")));
            }
        }
        lines
    }

    /// How wide the first columns are where each has the room it wants.
    fn widths(&self, columns: usize) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.width()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// Takes from the widest, and from the first, by which people find what is meant, as the last.
fn squeezed(mut widths: Vec<usize>, width: usize) -> Vec<usize> {
    for first in [1, 0] {
        while total(&widths) > width {
            let others = widths.iter_mut().skip(first).filter(|it| **it > LEAST);
            let Some(widest) = others.max_by_key(|it| **it) else { break };
            *widest -= 1;
        }
    }
    widths
}

fn in_line(row: &[Cell], widths: &[usize]) -> Line {
    let mut line = Line::default();
    for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
        if place > 0 {
            line.push(Tone::Plain, &" ".repeat(GAP));
        }
        let text = cut(&cell.text, *width);
        line.push(cell.tone, &text);
        line.push(Tone::Plain, &" ".repeat(width - text.width().min(*width)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(table: &Table, width: usize) -> Vec<String> {
        table.fitted(width).iter().map(|line| line.shown(false)).collect()
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be_and_no_cell_leaves_its_line() {
        let mut table = Table::new(&["ID", "ERROR"]);
        table.row(["naïve".to_owned(), "a\n\u{1b}[2Jb".to_owned()]);
        table.row(["x".to_owned(), String::new()]);
        assert_eq!(table.lines(), ["ID     ERROR", r"naïve  a\n\u{1b}[2Jb", "x"]);
    }

    #[test]
    fn a_table_fits_and_its_words_go_below_where_there_is_no_room() {
        let mut table = Table::with_words(&["ID", "STATUS", "ERROR"]);
        table.row(["order-1", "confirming", "connection refused"].map(str::to_owned));
        let beside = ["ID       STATUS      ERROR", "order-1  confirming  connection refused"];
        assert_eq!(shown(&table, 39), beside);
        let below = ["ID       STATUS", "order-1  confirming", "    connection", "    refused"];
        assert_eq!(shown(&table, 19), below);
        let mut table = Table::new(&["ID", "ERROR"]);
        table.row(["order-1", "connection refused"].map(str::to_owned));
        assert_eq!(shown(&table, 20), ["ID       ERROR", "order-1  connection…"]);
    }
}
