//! Tables of cells: aligned for a terminal, and as Markdown. The first row is the head, the first
//! column the titles of the rows.

/// For a terminal: figures, so that all columns but the first are flush right.
pub fn text(rows: &[Vec<String>]) -> String {
    aligned(rows, |column| column > 0)
}

/// For a terminal: words, every column flush left.
pub fn text_left(rows: &[Vec<String>]) -> String {
    aligned(rows, |_| false)
}

fn aligned(rows: &[Vec<String>], flush_right: impl Fn(usize) -> bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            if flush_right(column) {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// For a page.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        out.push_str(&format!("| {} |\n", row.join(" | ")));
        if number == 0 {
            let figures = "---:|".repeat(row.len().saturating_sub(1));
            out.push_str(&format!("|---|{figures}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_left_and_figures_right() {
        let rows = [["", "longer"], ["rö", "1"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(text(&rows), "    longer\nrö       1\n");
        assert_eq!(text_left(&rows), "    longer\nrö  1\n");
        assert_eq!(markdown(&rows), "|  | longer |\n|---|---:|\n| rö | 1 |\n");
    }
}
