//! Aligned columns that fit the screen: cells are cut short, columns of lesser use left out.
//!
//! ```text
//!  natural width fits? ──► print
//!        │ no: leave spare columns out, the greatest rank first, until the narrowest form fits
//!        └──► take columns of the widest cells down, one by one, until the lines fit
//! ```

use std::io::{self, Write};

use super::text::{cut, fold, width_of};

/// Spaces between two columns.
const GAP: usize = 2;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    /// For numbers.
    Right,
}

/// What may become of a cell that is too wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Whole,
    /// Down to so many columns, with an ellipsis.
    Cut(usize),
    /// Down to so many columns, on as many lines as it takes.
    Fold(usize),
}

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    align: Align,
    fit: Fit,
    /// Left out where the lines are too narrow, the greatest first; 0: never.
    spare: u8,
}

impl Column {
    pub(super) fn left(title: &'static str) -> Self {
        Self {
            title,
            align: Align::Left,
            fit: Fit::Whole,
            spare: 0,
        }
    }

    pub(super) fn right(title: &'static str) -> Self {
        Self {
            align: Align::Right,
            ..Self::left(title)
        }
    }

    /// Cells may be cut short, down to `least` characters.
    pub(super) fn cut(self, least: usize) -> Self {
        let fit = Fit::Cut(least);
        Self { fit, ..self }
    }

    /// Cells may take several lines of at least `least` characters.
    pub(super) fn fold(self, least: usize) -> Self {
        let fit = Fit::Fold(least);
        Self { fit, ..self }
    }

    /// May be left out, the greatest `rank` first.
    pub(super) fn spare(self, rank: u8) -> Self {
        Self {
            spare: rank,
            ..self
        }
    }

    /// The narrowest it can be, if its widest cell is `natural` wide.
    fn least(&self, natural: usize) -> usize {
        match self.fit {
            Fit::Whole => natural,
            Fit::Cut(least) | Fit::Fold(least) => natural.min(least.max(self.title.len())),
        }
    }
}

/// Rows under a header. Cells may come from other agents: what steers a terminal is escaped.
pub(super) struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [Column; N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| clean(&cell)));
    }

    /// Prints lines of at most `width` characters, if the columns can be made so narrow.
    pub(super) fn write(&self, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let natural: [usize; N] = std::array::from_fn(|at| {
            let cells = self.rows.iter().map(|row| width_of(&row[at]));
            cells.fold(self.columns[at].title.len(), usize::max)
        });
        let kept = self.kept(&natural, width);
        let widths = self.widths(&natural, &kept, width);
        let titles = self.columns.map(|column| column.title.to_owned());
        for row in std::iter::once(&titles).chain(&self.rows) {
            self.write_row(row, &kept, &widths, out)?;
        }
        let left_out = (0..N).filter(|at| !kept.contains(at));
        let left_out: Vec<&str> = left_out.map(|at| self.columns[at].title).collect();
        if left_out.is_empty() {
            return Ok(());
        }
        writeln!(out, "(--wide shows {} too)", left_out.join(", "))
    }

    /// The columns that are shown.
    fn kept(&self, natural: &[usize; N], width: usize) -> Vec<usize> {
        let mut kept: Vec<usize> = (0..N).collect();
        loop {
            let least = kept.iter().map(|&at| self.columns[at].least(natural[at]));
            let least = total(least);
            let spare = kept
                .iter()
                .copied()
                .max_by_key(|&at| self.columns[at].spare);
            match spare {
                Some(at) if least > width && self.columns[at].spare > 0 => {
                    kept.retain(|other| *other != at);
                }
                _ => return kept,
            }
        }
    }

    /// As wide as there is room, the widest columns shrunk first.
    fn widths(&self, natural: &[usize; N], kept: &[usize], width: usize) -> [usize; N] {
        let mut widths = *natural;
        for &at in kept {
            // No cell is wider than the line, so that the steps below are few.
            widths[at] = widths[at]
                .min(width)
                .max(self.columns[at].least(natural[at]));
        }
        while total(kept.iter().map(|&at| widths[at])) > width {
            let shrinkable = kept
                .iter()
                .copied()
                .filter(|&at| widths[at] > self.columns[at].least(natural[at]));
            match shrinkable.max_by_key(|&at| widths[at]) {
                Some(at) => widths[at] -= 1,
                None => break,
            }
        }
        widths
    }

    fn write_row(
        &self,
        row: &[String; N],
        kept: &[usize],
        widths: &[usize; N],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let lines: Vec<Vec<String>> = kept
            .iter()
            .map(|&at| match self.columns[at].fit {
                Fit::Whole => vec![row[at].clone()],
                Fit::Cut(_) => vec![cut(&row[at], widths[at])],
                Fit::Fold(_) => fold(&row[at], widths[at]),
            })
            .collect();
        let height = lines.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let mut text = String::new();
            for (&at, cell) in kept.iter().zip(&lines) {
                let cell = cell.get(line).map_or("", String::as_str);
                let pad = " ".repeat(widths[at].saturating_sub(width_of(cell)));
                if at != kept[0] {
                    text.push_str(&" ".repeat(GAP));
                }
                match self.columns[at].align {
                    Align::Left => text.extend([cell, &pad]),
                    Align::Right => text.extend([&pad, cell]),
                }
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// With the gaps between them.
fn total(widths: impl Iterator<Item = usize>) -> usize {
    let (count, sum) = widths.fold((0_usize, 0_usize), |(count, sum), width| {
        (count + 1, sum.saturating_add(width))
    });
    sum.saturating_add(count.saturating_sub(1) * GAP)
}

/// `text` with what steers a terminal escaped: control characters, and marks that turn the direction
/// of writing or are not seen.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_hidden(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Of the format characters (Unicode category Cf) those that text in a table has no use for.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<const N: usize>(table: &Table<N>, width: usize) -> String {
        let mut out = Vec::new();
        table.write(width, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([Column::left("NAME"), Column::right("N")]);
        table.row(["möhre".into(), "7".into()]);
        table.row(["兎".into(), "1024".into()]);
        assert_eq!(
            shown(&table, 60),
            "NAME      N\n\
             möhre     7\n\
             兎     1024\n"
        );
    }

    #[test]
    fn what_is_too_wide_is_cut_folded_and_left_out() {
        let mut table = Table::new([
            Column::left("NAME").cut(5),
            Column::right("RTT").spare(1),
            Column::right("COST").spare(2),
            Column::left("WHY").fold(9),
        ]);
        let why = "second path to this exit";
        let name = "transit-of-the-east";
        table.row([name.into(), "0.40 ms".into(), "10".into(), why.into()]);
        assert_eq!(shown(&table, 60).lines().count(), 2);
        assert_eq!(
            shown(&table, 42),
            "NAME               RTT  COST  WHY\n\
             transit-of-t…  0.40 ms    10  second path\n\
             \x20                             to this exit\n"
        );
        assert_eq!(
            shown(&table, 26),
            "NAME        RTT  WHY\n\
             trans…  0.40 ms  second\n\
             \x20                path to\n\
             \x20                this exit\n\
             (--wide shows COST too)\n"
        );
        for width in 0..60 {
            let text = shown(&table, width);
            let lines = text.lines().take_while(|line| !line.starts_with('('));
            let widest = lines.map(width_of).max().unwrap();
            assert!(widest <= width.max(16), "{width}:\n{text}");
        }
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        assert_eq!(clean("\u{1b}[2Jgw\n\u{9b}1m"), "\\u{1b}[2Jgw\\n\\u{9b}1m");
        assert_eq!(clean("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
    }
}
