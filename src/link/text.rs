//! What neighbours write that people will read: in logs, tables and the API.

use crate::wire::bounds::MAX_NAME_BYTES;

/// Characters kept of a reason.
const REASON: usize = 200;

/// Whether `text` may be a display name: short, and nothing in it steers a terminal or breaks a
/// line of a log.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}

/// `text` with control characters written out, and cut where nobody reads on.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == REASON {
            out.push('…');
            break;
        }
        match character.is_control() {
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
    fn names_are_short_and_print_as_they_are() {
        assert!(is_name("") && is_name("Zürich 1") && is_name(&"x".repeat(64)));
        for wrong in ["a\nb", "\u{1b}[31m", "a\u{9b}2J", "\0", &"x".repeat(65)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn reasons_are_written_out_and_cut() {
        assert_eq!(printable("it's \"over\", née"), "it's \"over\", née");
        assert_eq!(printable("a\r\nb\u{1b}[2J"), "a\\r\\nb\\u{1b}[2J");
        assert_eq!(printable(&"ü".repeat(200)), "ü".repeat(200));
        let cut = printable(&"ü".repeat(100_000));
        assert_eq!(cut, "ü".repeat(200) + "…");
    }
}
