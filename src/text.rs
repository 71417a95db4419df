//! What others wrote and people will read, in logs, tables and the API: how long it may be, and which
//! characters do more than stand where they were written.

/// Longest name of an agent, pool, group or check, bytes: it travels in greetings and advertisements
/// and stands in tables.
pub const NAME_BYTES: usize = 64;

/// Characters of a reason that are kept.
const REASON: usize = 200;

/// Whether `character` steers what shows it: a control character, one that ends a line (U+2028,
/// U+2029), or one that turns the direction of the text around it (the bidirectional controls of
/// UAX #9), so that a name reads as another.
pub fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

/// A reason with what steers written out, and cut where nobody reads on.
pub fn reason(text: &str) -> String {
    printable(text, REASON)
}

/// The first `most` characters of `text`, with what steers written out.
pub fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == most {
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

/// The longest head of `text` of at most `limit` bytes.
pub fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_written_out_and_cut() {
        assert_eq!(reason("it's \"over\", née"), "it's \"over\", née");
        assert_eq!(reason("a\r\nb\u{1b}[2J"), "a\\r\\nb\\u{1b}[2J");
        assert_eq!(reason("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(reason(&"ü".repeat(200)), "ü".repeat(200));
        let cut = reason(&"ü".repeat(100_000));
        assert_eq!(cut, "ü".repeat(200) + "…");
        assert_eq!(reason(&cut), cut, "kept by one room after another");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut("née", 2), "n");
        assert_eq!(cut("née", 3), "né");
        assert_eq!(cut("née", 9), "née");
    }
}
