//! Tables for people. What comes out of a journal may hold anything, so nothing of it reaches a terminal unchecked.

use std::io::{self, Write};

/// Longest text of a cell, in characters.
const WIDEST: usize = 60;

/// A table with a head and columns that are as wide as they need to be.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().copied().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Long cells are cut.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| cut(&harmless(&cell))).collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.head]);
            let widths = cells
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count());
            widths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for row in [&self.head].into_iter().chain(&self.rows) {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Prints names and values, one pair per line.
pub(super) fn pairs(out: &mut dyn Write, pairs: &[(&str, String)]) -> io::Result<()> {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in pairs {
        writeln!(out, "{name:width$}  {}", harmless(value))?;
    }
    Ok(())
}

/// Returns a text with control characters, and those that change the direction of writing, made visible.
pub(super) fn harmless(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .flat_map(|letter| {
            let escape = letter.is_control() || turns(letter);
            let (escaped, plain) = if escape {
                (Some(letter.escape_default()), None)
            } else {
                (None, Some(letter))
            };
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= WIDEST {
        return text.to_owned();
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(table: &Table) -> String {
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["A", "LONG", "C"]);
        table.row(["wide cell".to_owned(), "x".to_owned(), String::new()]);

        assert_eq!(printed(&table), "A          LONG  C\nwide cell  x\n");
    }

    #[test]
    fn nothing_in_a_cell_reaches_the_terminal_as_a_command() {
        let mut table = Table::new(&["ERROR"]);
        table.row(["\u{1b}[31mred\nline\u{9b}0m \u{202e}tfel".to_owned()]);

        assert_eq!(
            printed(&table),
            "ERROR\n\\u{1b}[31mred\\nline\\u{9b}0m \\u{202e}tfel\n"
        );
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        let mut table = Table::new(&["ERROR"]);
        table.row(["ä".repeat(61)]);

        assert_eq!(printed(&table), format!("ERROR\n{}…\n", "ä".repeat(59)));
    }
}
