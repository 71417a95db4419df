//! What one direction of a wire does to packets.

use std::time::Duration;

use warren::wire::packet::QUIC_FIXED_BIT;

use crate::rng::Rng;

/// How late a packet may be that others overtake.
const OVERTAKEN_MS: u64 = 4;

/// One direction between two hosts. Times are whole milliseconds, tokio's grain; shares are per
/// mille.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition {
    /// At least 1.
    pub(crate) delay_ms: u64,
    /// Up to so much more for each packet; order is kept.
    pub(crate) jitter_ms: u64,
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    /// Packets that later ones overtake.
    pub(crate) overtaken: u64,
    /// The largest UDP payload that fits, bytes; larger ones are lost without a word.
    pub(crate) mtu: usize,
    /// Everything that arrives is lost.
    pub(crate) cut: bool,
    /// What arrives and is not QUIC of the link is lost.
    pub(crate) grey: bool,
}

/// When a packet arrives, counted from its departure; `overtaken`: others need not wait for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trip {
    pub(crate) takes: Duration,
    pub(crate) overtaken: bool,
}

impl Condition {
    /// A faultless wire.
    pub(crate) fn clean(delay_ms: u64) -> Self {
        Self {
            delay_ms,
            jitter_ms: 0,
            loss: 0,
            duplicates: 0,
            overtaken: 0,
            mtu: usize::MAX,
            cut: false,
            grey: false,
        }
    }

    /// The trips of one packet: none if it is lost, two if it is duplicated.
    pub(crate) fn trips(&self, rng: &mut Rng) -> Vec<Trip> {
        if self.loss > 0 && rng.within(0..1_000) < self.loss {
            return Vec::new();
        }
        let twice = self.duplicates > 0 && rng.within(0..1_000) < self.duplicates;
        (0..1 + usize::from(twice))
            .map(|_| self.trip(rng))
            .collect()
    }

    fn trip(&self, rng: &mut Rng) -> Trip {
        let overtaken = self.overtaken > 0 && rng.within(0..1_000) < self.overtaken;
        let jitter = match self.jitter_ms {
            0 => 0,
            most => rng.within(0..most + 1),
        };
        let late = match overtaken {
            true => rng.within(1..OVERTAKEN_MS + 1),
            false => 0,
        };
        Trip {
            takes: Duration::from_millis(self.delay_ms + jitter + late),
            overtaken,
        }
    }

    /// Whether a packet that arrives now gets through.
    pub(crate) fn admits(&self, packet: &[u8]) -> bool {
        let is_link_quic = packet.first().is_some_and(|b| b & QUIC_FIXED_BIT != 0);
        !self.cut && packet.len() <= self.mtu && (!self.grey || is_link_quic)
    }
}
