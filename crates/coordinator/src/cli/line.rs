//! A line for people, in pieces that may have colours. What others have written in it stays what it
//! is: no piece breaks the line, moves the cursor or sets a colour of its own.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::escape::for_people;

/// How a piece is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Warn,
    Bad,
    Dim,
    Strong,
}

impl Tone {
    /// What turns it on: ECMA-48, 8.3.117.
    fn on(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Warn => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
            Self::Dim => "\u{1b}[2m",
            Self::Strong => "\u{1b}[1m",
        }
    }
}

const OFF: &str = "\u{1b}[0m";

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    pub(super) fn toned(tone: Tone, text: &str) -> Self {
        let mut line = Self::default();
        line.push(tone, text);
        line
    }

    /// Adds a piece, escaped.
    pub(super) fn push(&mut self, tone: Tone, text: &str) {
        self.pieces.push((tone, for_people(text).into_owned()));
    }

    /// Columns that it takes.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.width()).sum()
    }

    /// The same in so many columns; what is longer ends in an ellipsis.
    pub(super) fn cut(self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        let mut left = width;
        let mut pieces = Vec::new();
        for (tone, text) in self.pieces {
            let shown = cut(&text, left).into_owned();
            left -= shown.width().min(left);
            let is_cut = shown.len() != text.len() || left == 0;
            pieces.push((tone, shown));
            if is_cut {
                break;
            }
        }
        Self { pieces }
    }

    /// As it is written to a terminal, or elsewhere.
    pub(super) fn shown(&self, has_colours: bool) -> String {
        let text: String = self
            .pieces
            .iter()
            .map(|(tone, text)| match (has_colours, tone.on()) {
                (false, _) | (true, "") => text.clone(),
                (true, on) => format!("{on}{text}{OFF}"),
            })
            .collect();
        text.trim_end().to_owned()
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::toned(Tone::Plain, &text)
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// What fits into so many columns.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    let mut taken = 0;
    for c in text.chars() {
        taken += c.width().unwrap_or(0);
        if taken > width.saturating_sub(1) {
            break;
        }
        shown.push(c);
    }
    if width > 0 {
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// Pieces of a text that each fit into so many columns, broken at blanks where there are any.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let last = lines.last_mut().expect("there is one from the beginning");
            let needed = word.width() + usize::from(!last.is_empty());
            if last.width() + needed <= width {
                if !last.is_empty() {
                    last.push(' ');
                }
                last.push_str(word);
                break;
            }
            if !last.is_empty() {
                lines.push(String::new());
                continue;
            }
            let mut taken = 0;
            let end = word.char_indices().find(|(_, c)| {
                taken += c.width().unwrap_or(0);
                taken > width
            });
            let end = end.map_or(word.len(), |(at, c)| if at == 0 { c.len_utf8() } else { at });
            last.push_str(&word[..end]);
            word = &word[end..];
            if word.is_empty() {
                break;
            }
            lines.push(String::new());
        }
    }
    lines
}

/// How far what goes on in further lines stands in.
const INDENT: usize = 4;

/// A text in as many lines as it takes, those after the first standing in.
pub(super) fn hanging(text: &str, width: usize) -> Vec<Line> {
    let parts = wrapped(&for_people(text), width.saturating_sub(INDENT));
    let line = |(place, part): (usize, &String)| match place {
        0 => Line::from(part.as_str()),
        _ => Line::from(format!("{:INDENT$}{part}", "")),
    };
    parts.iter().enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_ours_and_what_others_write_is_none() {
        let mut line = Line::from("order-1  ");
        line.push(Tone::Bad, "PARKED");
        line.push(Tone::Plain, "  \u{1b}[31mred\n");
        assert_eq!(line.shown(false), "order-1  PARKED  \\u{1b}[31mred\\n");
        let shown = line.shown(true);
        assert_eq!(shown, "order-1  \u{1b}[31mPARKED\u{1b}[0m  \\u{1b}[31mred\\n");
    }

    #[test]
    fn what_is_too_long_is_cut_by_columns() {
        for (text, width, expected) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 5, "日本…"), ("日本語", 4, "日…")]
        {
            assert_eq!(cut(text, width), expected);
        }
        let mut line = Line::from("abc");
        line.push(Tone::Good, "def");
        assert_eq!(line.clone().cut(4).shown(false), "abc…");
        assert_eq!(line.cut(6).shown(false), "abcdef");
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
    }
}
