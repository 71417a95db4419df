//! Finding the reason of a refused handshake again after a transport turned it into text.

use std::fmt;

use super::TrustError;
use crate::text::printable;

/// Starts our reason inside the text with which a connection closes. Both sides look for it, so it is part of
/// the protocol.
const MARK: &str = "peer refused: ";

/// Longest reason taken over from a peer, characters. Ours are shorter.
const MAX_REASON: usize = 300;

/// Which side refused the other's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// This agent refused the peer.
    Us,
    /// The peer refused this agent. Its reason is a claim.
    Peer,
}

/// A handshake that ended because one side does not trust the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub by: RefusedBy,
    /// The text of the [`TrustError`]: begins with its label.
    pub reason: String,
}

impl Refusal {
    /// The refusal that `text` tells of: what `by` said when it ended the connection.
    pub(crate) fn in_text(by: RefusedBy, text: &str) -> Option<Self> {
        let (_, reason) = text.split_once(MARK)?;
        // A peer may have written it.
        let reason = printable(reason, MAX_REASON);
        Some(Self { by, reason })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            RefusedBy::Us => write!(f, "refused the peer: {}", self.reason),
            RefusedBy::Peer => write!(f, "the peer refused us: {}", self.reason),
        }
    }
}

/// Carries a [`TrustError`] through rustls and what is above it.
#[derive(Debug, thiserror::Error)]
#[error("{MARK}{0}")]
pub(super) struct Refused(#[source] pub(super) TrustError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_texts_are_no_refusals() {
        for text in ["no application protocol", ""] {
            assert_eq!(Refusal::in_text(RefusedBy::Peer, text), None);
        }
    }

    #[test]
    fn a_peers_reason_is_bounded_and_printable() {
        let said = |text: &str| Refusal::in_text(RefusedBy::Peer, text).unwrap().reason;
        let steering = said("other error: peer refused: stranger:\n\x1b[31m");
        assert_eq!(steering, "stranger:\\n\\u{1b}[31m");
        let long = said(&format!("peer refused: {}", "é".repeat(5000)));
        assert_eq!(long, "é".repeat(MAX_REASON) + "…");
    }
}
