//! What one link session with a neighbour may make us do, and has told us.

use std::time::Instant;

use super::bucket::TokenBucket;
use crate::config::Limits;

/// One live control session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// Its bit in every [`SlotSet`](super::slots::SlotSet).
    pub(super) slot: usize,
    /// Names the neighbour's process.
    pub(super) peer_epoch: u64,
    /// Control bytes that it may send.
    pub(super) bytes: TokenBucket,
    /// Signatures and certificates that it may have checked.
    pub(super) signatures: TokenBucket,
    /// Bytes that it may ask for.
    pub(super) answers: TokenBucket,
    /// Objects of its offers that it may be asked for.
    pub(super) asked: TokenBucket,
    pub(super) next_digest: Instant,
    /// When its digest was last answered.
    pub(super) compared: Option<Instant>,
    /// When it was last asked for what came without a certificate.
    pub(super) repaired: Option<Instant>,
    /// It sent a bad signature: nothing more is heard from it.
    pub(super) convicted: bool,
}

impl Session {
    pub(super) fn new(now: Instant, slot: usize, peer_epoch: u64, limits: &Limits) -> Self {
        let bytes = TokenBucket::new(now, limits.control_bytes_per_second as u64);
        Self {
            slot,
            peer_epoch,
            answers: bytes.clone(),
            bytes,
            signatures: TokenBucket::new(now, limits.signatures_per_second.into()),
            // Two checks for each, signature and certificate.
            asked: TokenBucket::new(now, u64::from(limits.signatures_per_second / 2).max(1)),
            next_digest: now,
            compared: None,
            repaired: None,
            convicted: false,
        }
    }
}
