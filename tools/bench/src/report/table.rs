//! A table, for people at a terminal and for Markdown.

/// A table. The first column is text, the others are figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// With columns of equal width, the first to the left and the others to the right.
    pub(crate) fn text(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|&cell| cell.to_owned()).collect();
        let all = || std::iter::once(&head).chain(&self.rows);
        let width = |column: usize| {
            let cells = all().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let mut text = format!("{}\n", self.title);
        for row in all() {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }

    /// As Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
        };
        let mut text = format!("### {}\n\n", self.title);
        text += &line(&mut self.head.iter().copied());
        text += &line(&mut self.head.iter().enumerate().map(|(column, _)| match column {
            0 => "---",
            _ => "---:",
        }));
        for row in &self.rows {
            text += &line(&mut row.iter().map(String::as_str));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_is_markdown_too() {
        let table = Table {
            title: "T".to_owned(),
            head: vec!["case", "µs"],
            rows: vec![
                vec!["a".to_owned(), "1".to_owned()],
                vec!["longer".to_owned(), "10".to_owned()],
            ],
        };
        assert_eq!(table.text(), "T\ncase    µs\na        1\nlonger  10\n");
        assert_eq!(
            table.markdown(),
            "### T\n\n| case | µs |\n| --- | ---: |\n| a | 1 |\n| longer | 10 |\n"
        );
    }
}
