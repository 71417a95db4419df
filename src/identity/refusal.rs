//! Finding the reason of a refused handshake again after QUIC turned it into text.

use std::fmt;

use quinn::ConnectionError;

use super::TrustError;

/// Starts our reason inside the text of a QUIC close. Both sides look for it, so it is part of
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
    /// The refusal behind a connection's end, if that is what ended it.
    ///
    /// In TLS 1.3 the dialling side finishes first, so a refusal by the listening side can also
    /// end a connection that already looked established.
    pub fn of(error: &ConnectionError) -> Option<Self> {
        let (by, text) = match error {
            ConnectionError::TransportError(error) => (RefusedBy::Us, error.reason.clone()),
            ConnectionError::ConnectionClosed(close) => (
                RefusedBy::Peer,
                String::from_utf8_lossy(&close.reason).into_owned(),
            ),
            ConnectionError::VersionMismatch
            | ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => return None,
        };
        let (_, reason) = text.split_once(MARK)?;
        // Bounded and without control characters, because a peer may have written it.
        let reason = reason.chars().take(MAX_REASON);
        let reason = reason.map(|c| if c.is_control() { '?' } else { c });
        Some(Self {
            by,
            reason: reason.collect(),
        })
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

/// Carries a [`TrustError`] through rustls and quinn.
#[derive(Debug, thiserror::Error)]
#[error("{MARK}{0}")]
pub(super) struct Refused(#[source] pub(super) TrustError);

#[cfg(test)]
mod tests {
    use super::*;

    fn close(reason: &str) -> ConnectionError {
        ConnectionError::ConnectionClosed(quinn::ConnectionClose {
            error_code: quinn::TransportErrorCode::crypto(40),
            frame_type: None,
            reason: reason.to_owned().into(),
        })
    }

    #[test]
    fn other_ends_of_a_connection_are_no_refusals() {
        assert_eq!(Refusal::of(&ConnectionError::TimedOut), None);
        assert_eq!(Refusal::of(&close("no application protocol")), None);
        assert_eq!(Refusal::of(&close("")), None);
    }

    #[test]
    fn a_peers_reason_is_bounded_and_printable() {
        let refusal =
            Refusal::of(&close("other error: peer refused: stranger:\n\x1b[31m")).unwrap();
        assert_eq!(refusal.by, RefusedBy::Peer);
        assert_eq!(refusal.reason, "stranger:??[31m");
        let long = format!("peer refused: {}", "é".repeat(5000));
        assert_eq!(
            Refusal::of(&close(&long)).unwrap().reason.chars().count(),
            MAX_REASON
        );
    }
}
