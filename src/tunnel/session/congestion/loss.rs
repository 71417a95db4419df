//! How much of what was sent is lost.

/// Part lost that bounds the window when it comes with a probe (BBRLossThresh is 2 %). A radio hop loses
/// 2 % without a queue, in bursts; where a queue overflows or a policer cuts, a probe loses a fifth.
const MUCH: f64 = 0.05;

/// Part lost that is believed to say that the path takes less than it did. A link that loses so much
/// at random is slowed down by it.
const RUIN: f64 = 0.15;

/// Bytes that a part is counted over: 64 full packets, of which a single loss is 1.6 %.
const ENOUGH: u64 = 64 * 1_400;

/// Counts within a round or more.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    acked: u64,
    lost: u64,
}

impl Losses {
    /// Begins anew.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    pub(super) fn handle_acked(&mut self, bytes: u64) {
        self.acked += bytes;
    }

    pub(super) fn handle_lost(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    /// Whether enough was sent to tell.
    pub(super) fn is_told(&self) -> bool {
        self.acked + self.lost >= ENOUGH
    }

    /// Whether a probe should end.
    pub(super) fn is_much(&self) -> bool {
        self.is_told() && self.part() > MUCH
    }

    /// Whether the path takes less than was believed.
    pub(super) fn is_ruin(&self) -> bool {
        self.is_told() && self.part() > RUIN
    }

    fn part(&self) -> f64 {
        self.lost as f64 / (self.acked + self.lost) as f64
    }
}
