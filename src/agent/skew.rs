//! Which agents' clocks differ from this host's, as far as their advertisements told lately.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::identity::AgentId;

/// The routing core tells of an agent once a minute as long as it goes on; two of them may be late.
const FRESH: Duration = Duration::from_secs(150);

/// As many as the core tells of in a minute.
const LIMIT: usize = 32;

/// Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Skews(Arc<Mutex<BTreeMap<AgentId, Skew>>>);

#[derive(Clone, Copy)]
struct Skew {
    ahead_ms: i64,
    at: Instant,
}

impl Skews {
    pub(super) fn note(&self, now: Instant, origin: AgentId, ahead_ms: i64) {
        let mut skews = self.0.lock().expect("no panic while locked");
        skews.retain(|_, skew| is_fresh(skew, now));
        if skews.len() < LIMIT || skews.contains_key(&origin) {
            skews.insert(origin, Skew { ahead_ms, at: now });
        }
    }

    /// Whose advertisements are refused for their date, and by how many milliseconds they are ahead.
    pub(super) fn current(&self, now: Instant) -> Vec<(AgentId, i64)> {
        let skews = self.0.lock().expect("no panic while locked");
        let fresh = skews.iter().filter(|(_, skew)| is_fresh(skew, now));
        fresh.map(|(id, skew)| (*id, skew.ahead_ms)).collect()
    }
}

fn is_fresh(skew: &Skew, now: Instant) -> bool {
    now.saturating_duration_since(skew.at) < FRESH
}

/// `180 s ahead of`.
pub(super) fn words(ahead_ms: i64) -> String {
    let seconds = ahead_ms.unsigned_abs().saturating_add(500) / 1_000;
    let direction = if ahead_ms < 0 { "behind" } else { "ahead of" };
    format!("{seconds} s {direction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_again_is_over() {
        let (skews, start) = (Skews::default(), Instant::now());
        let agent = |byte| AgentId([byte; 16]);
        skews.note(start, agent(1), 180_400);
        skews.note(start + FRESH / 2, agent(2), -90_000);
        assert_eq!(
            skews.current(start + FRESH / 2),
            [(agent(1), 180_400), (agent(2), -90_000)]
        );
        assert_eq!(skews.current(start + FRESH), [(agent(2), -90_000)]);
        for byte in 0..100 {
            skews.note(start + FRESH, agent(byte), 1);
        }
        assert_eq!(skews.current(start + FRESH).len(), LIMIT);
        assert_eq!(words(180_400), "180 s ahead of");
        assert_eq!(words(-3_600_000), "3600 s behind");
    }
}
