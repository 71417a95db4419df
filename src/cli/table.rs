//! Aligned columns.

use std::io::{self, Write};

/// Spaces between two columns.
const GAP: &str = "  ";

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Rows under a header. Cells may come from other agents: control characters are escaped, so that
/// no name steers the terminal.
pub(super) struct Table<const N: usize> {
    columns: [(&'static str, Align); N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [(&'static str, Align); N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell)));
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut widths = self.columns.map(|(title, _)| title.len());
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let titles = self.columns.map(|(title, _)| title.to_owned());
        for row in std::iter::once(&titles).chain(&self.rows) {
            let cells = row.iter().zip(widths).zip(self.columns);
            let cells = cells.map(|((cell, width), (_, align))| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            let line = cells.collect::<Vec<_>>().join(GAP);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `text` with its control characters escaped.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("NAME", Align::Left), ("N", Align::Right)]);
        table.row(["möhre".into(), "7".into()]);
        table.row(["a".into(), "1024".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "NAME      N\n\
             möhre     7\n\
             a      1024\n"
        );
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        assert_eq!(clean("\u{1b}[2Jgw\n\u{9b}1m"), "\\u{1b}[2Jgw\\n\\u{9b}1m");
    }
}
