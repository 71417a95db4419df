//! Groups: what a CA says of an agent beside its id, for the rules of exits.

use std::fmt;
use std::str::FromStr;

use crate::text::NAME_BYTES;

/// The name of a group: letters, digits, `-`, `_` and `.`, in lower case. One form, so that a rule for
/// `ops` and a certificate of `Ops` mean the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(String);

/// A text that names no group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    #[error("a group's name has 1 to {NAME_BYTES} characters")]
    Length,
    #[error("a group's name has letters (a to z), digits, `-`, `_` and `.` only; found {0:?}")]
    Character(char),
    #[error("a group's name begins with a letter or digit, not with {0:?}")]
    First(char),
}

impl Group {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Group {
    type Err = GroupError;

    /// Reads a name in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(other) = text.chars().find(|c| !allowed(*c)) {
            return Err(GroupError::Character(other));
        }
        match text.chars().next() {
            Some(first) if !first.is_ascii_alphanumeric() => Err(GroupError::First(first)),
            Some(_) if text.len() <= NAME_BYTES => Ok(Self(text.to_ascii_lowercase())),
            Some(_) | None => Err(GroupError::Length),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form_and_nothing_odd() {
        for (text, name) in [
            ("ops", "ops"),
            ("Ops", "ops"),
            ("eu-west_1.db", "eu-west_1.db"),
            ("7", "7"),
            (&"x".repeat(64), &*"x".repeat(64)),
        ] {
            let group: Group = text.parse().unwrap();
            assert_eq!(group.as_str(), name);
            assert_eq!(group.to_string().parse(), Ok(group));
        }
        for (text, error) in [
            ("", GroupError::Length),
            (&*"x".repeat(65), GroupError::Length),
            ("a b", GroupError::Character(' ')),
            ("a:b", GroupError::Character(':')),
            ("\u{f6}ps", GroupError::Character('\u{f6}')),
            // It looks like an `o`.
            ("\u{43e}ps", GroupError::Character('\u{43e}')),
            ("ops\0", GroupError::Character('\0')),
            ("*", GroupError::Character('*')),
            ("-ops", GroupError::First('-')),
            (".", GroupError::First('.')),
        ] {
            assert_eq!(text.parse::<Group>(), Err(error), "{text:?}");
        }
    }
}
