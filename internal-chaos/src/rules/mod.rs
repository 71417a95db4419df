//! Packet rules: which packets something happens to, and what.
//!
//! Rules are asked in the order in which they were added; the first that matches decides, so that
//! a rule with [`Verdict::Pass`] before others exempts packets from them. A rule lasts until it is
//! removed; [`crate::relay::Relay::rule`] hands out a guard that does so. Everything here is pure:
//! time comes in, chance comes from a seed.

mod decide;
mod matcher;
mod stage;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use decide::{RuleId, Rules};
pub use matcher::{Matcher, Nth};
pub use stage::{RuleCounters, Stage};

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    pub verdict: Verdict,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing.
    Pass,
    /// It is held for so long, while others pass. At most
    /// [`LONGEST_DELAY`](crate::impairment::LONGEST_DELAY).
    Delay(#[serde(with = "humantime_serde")] Duration),
    /// It is lost.
    Drop,
    /// It goes on, and so many copies right behind it.
    Duplicate { copies: u8 },
    /// So many later packets of its flow and direction overtake it; after `within` it goes on
    /// anyway.
    Reorder {
        by: u32,
        #[serde(with = "humantime_serde")]
        within: Duration,
    },
    /// One bit is inverted in each of so many of its bytes, or in all if it has fewer.
    Corrupt { bytes: u16 },
    /// Bytes from this one on are cut off.
    Truncate { to: usize },
}

impl Rule {
    pub fn new(matcher: Matcher, verdict: Verdict) -> Self {
        Self { matcher, verdict }
    }
}

#[cfg(test)]
mod tests;
