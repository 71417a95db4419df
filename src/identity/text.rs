//! Which characters of a foreign text do more than stand where they were written.

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
