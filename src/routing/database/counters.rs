//! What became of everything that neighbours sent.

use crate::wire::ObjectKind;

/// What became of one advertisement. Each is a label of `warren_advertisements_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdvResult {
    /// Stored and, if it may travel on, forwarded.
    Accepted,
    /// Stored before, and came again by a shorter way: forwarded for those farther away.
    Widened,
    Duplicate,
    /// A newer version is stored, or its epoch or fragment set is void.
    Stale,
    /// Our own words.
    Echo,
    /// Of another process with our key: an earlier one's remains, or a living one's.
    Contested,
    Malformed,
    /// Came farther than its origin allows.
    TooFar,
    Expired,
    /// Dated more than the slack ahead of our clock.
    FutureDated,
    /// Its certificate is neither known nor enclosed.
    UnknownCertificate,
    Untrusted,
    CertificateExpired,
    /// Its certificate is another agent's.
    ForeignCertificate,
    BadSignature,
    NotGranted,
    OriginLimit,
    NeighborLimit,
    RouteLimit,
    MemoryLimit,
    SignatureRate,
    /// More than one origin may say in so short a time.
    OriginRate,
}

/// What became of a whole control message that was not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageDrop {
    /// Over `limits.control_bytes_per_second`.
    ByteRate,
    /// From an agent that is no neighbour, or was told to go.
    NoSession,
    /// Comparing again so soon after the last time.
    SyncRate,
    /// A digest of another length.
    Malformed,
}

/// Counts by kind and result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    advertisements: [[u64; AdvResult::ALL.len()]; KINDS.len()],
    messages: [u64; MessageDrop::ALL.len()],
}

const KINDS: [&str; 3] = ["link", "route", "unknown"];

impl AdvResult {
    pub const ALL: [Self; 22] = [
        Self::Accepted,
        Self::Widened,
        Self::Duplicate,
        Self::Stale,
        Self::Echo,
        Self::Contested,
        Self::Malformed,
        Self::TooFar,
        Self::Expired,
        Self::FutureDated,
        Self::UnknownCertificate,
        Self::Untrusted,
        Self::CertificateExpired,
        Self::ForeignCertificate,
        Self::BadSignature,
        Self::NotGranted,
        Self::OriginLimit,
        Self::NeighborLimit,
        Self::RouteLimit,
        Self::MemoryLimit,
        Self::SignatureRate,
        Self::OriginRate,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Widened => "widened",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Echo => "echo",
            Self::Contested => "contested",
            Self::Malformed => "malformed",
            Self::TooFar => "too_far",
            Self::Expired => "expired",
            Self::FutureDated => "future_dated",
            Self::UnknownCertificate => "unknown_certificate",
            Self::Untrusted => "untrusted",
            Self::CertificateExpired => "certificate_expired",
            Self::ForeignCertificate => "foreign_certificate",
            Self::BadSignature => "bad_signature",
            Self::NotGranted => "not_granted",
            Self::OriginLimit => "origin_limit",
            Self::NeighborLimit => "neighbor_limit",
            Self::RouteLimit => "route_limit",
            Self::MemoryLimit => "memory_limit",
            Self::SignatureRate => "signature_rate",
            Self::OriginRate => "origin_rate",
        }
    }
}

impl MessageDrop {
    pub const ALL: [Self; 4] = [
        Self::ByteRate,
        Self::NoSession,
        Self::SyncRate,
        Self::Malformed,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::ByteRate => "byte_rate",
            Self::NoSession => "no_session",
            Self::SyncRate => "sync_rate",
            Self::Malformed => "malformed",
        }
    }
}

impl Counters {
    pub(super) fn count(&mut self, kind: Option<ObjectKind>, result: AdvResult) {
        let row = match kind {
            Some(ObjectKind::Link) => 0,
            Some(ObjectKind::Route) => 1,
            None => 2,
        };
        self.advertisements[row][result as usize] += 1;
    }

    pub(super) fn count_drop(&mut self, drop: MessageDrop) {
        self.messages[drop as usize] += 1;
    }

    /// Advertisements with this result, of any kind.
    pub fn total(&self, result: AdvResult) -> u64 {
        self.advertisements
            .iter()
            .map(|row| row[result as usize])
            .sum()
    }

    /// Control messages dropped for this reason.
    pub fn dropped(&self, drop: MessageDrop) -> u64 {
        self.messages[drop as usize]
    }

    /// Advertisements as (type label, result label, count), zeros too.
    pub fn advertisements(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        KINDS
            .iter()
            .zip(&self.advertisements)
            .flat_map(|(kind, row)| {
                AdvResult::ALL
                    .iter()
                    .map(move |result| (*kind, result.label(), row[*result as usize]))
            })
    }

    /// Dropped control messages as (reason label, count), zeros too.
    pub fn messages(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        MessageDrop::ALL
            .iter()
            .map(|drop| (drop.label(), self.messages[*drop as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_its_place_and_label() {
        for (index, result) in AdvResult::ALL.iter().enumerate() {
            assert_eq!(*result as usize, index);
        }
        for (index, drop) in MessageDrop::ALL.iter().enumerate() {
            assert_eq!(*drop as usize, index);
        }
        let mut counters = Counters::default();
        counters.count(Some(ObjectKind::Route), AdvResult::SignatureRate);
        assert!(
            counters
                .advertisements()
                .any(|line| line == ("route", "signature_rate", 1))
        );
        assert_eq!(counters.total(AdvResult::SignatureRate), 1);
    }
}
