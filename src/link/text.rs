//! What neighbours write that people will read: in logs, tables and the API.

use crate::identity::is_steering;

/// Characters kept of a reason.
const REASON: usize = 200;

/// `text` with control characters written out, and cut where nobody reads on.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == REASON {
            out.push('…');
            break;
        }
        match is_steering(character) {
            true => out.extend(character.escape_default()),
            false => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_written_out_and_cut() {
        assert_eq!(printable("it's \"over\", née"), "it's \"over\", née");
        assert_eq!(printable("a\r\nb\u{1b}[2J"), "a\\r\\nb\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable(&"ü".repeat(200)), "ü".repeat(200));
        let cut = printable(&"ü".repeat(100_000));
        assert_eq!(cut, "ü".repeat(200) + "…");
    }
}
