//! Whether one invariant held, and what was seen of it.

use std::time::Duration;

use serde::Serialize;

use super::text::Bound;

/// One invariant, and whether it held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub invariant: String,
    pub holds: bool,
    pub wanted: String,
    pub seen: String,
}

impl Finding {
    /// For a terminal.
    pub fn line(&self) -> String {
        let mark = if self.holds { "ok    " } else { "BROKEN" };
        let Self {
            invariant,
            seen,
            wanted,
            ..
        } = self;
        format!("  {mark} {invariant}: {seen} (wanted: {wanted})\n")
    }
}

/// Errors and names quoted in one finding.
const MOST_QUOTED: usize = 3;

pub(super) fn finding(
    invariant: &str,
    holds: bool,
    wanted: impl Into<String>,
    seen: impl Into<String>,
) -> Finding {
    Finding {
        invariant: invariant.to_owned(),
        holds,
        wanted: wanted.into(),
        seen: seen.into(),
    }
}

pub(super) fn quote<'a>(what: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = what.collect();
    let shown: Vec<&str> = all.iter().take(MOST_QUOTED).copied().collect();
    let more = all.len().saturating_sub(MOST_QUOTED);
    match more {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

/// How many of something there were, with what was told of them.
pub(super) fn counted<'a>(
    invariant: &str,
    bound: Bound,
    count: usize,
    texts: impl Iterator<Item = &'a str>,
) -> Finding {
    let seen = match count {
        0 => "0".to_owned(),
        count => format!("{count}: {}", quote(texts)),
    };
    let holds = bound.allows(count as u64);
    finding(invariant, holds, bound.to_string(), seen)
}

pub(super) fn ms(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
