//! The tokens that a neighbour's packets may carry: a new one from time to time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::forward::{Adjacency, Fib};
use crate::wire::Token;

/// How often a link's token changes: one that was copied from its packets is good for little longer.
const ROTATION: Duration = Duration::from_secs(3_600);

/// How long the old token still works: packets on their way, and a neighbour that reads late, or that
/// hears of the new one when it was sent for the third time over a round trip of 3 s.
const GRACE: Duration = Duration::from_secs(30);

/// The tokens of one link, as the forwarding table knows them.
pub(super) struct Tokens {
    fib: Arc<Fib>,
    adjacency: Arc<Adjacency>,
    current: u64,
    since: Instant,
    /// The one before, and when it stops working.
    old: Option<(u64, Instant)>,
}

impl Tokens {
    /// Admits `token`, which the neighbour was told.
    pub(super) fn admit(
        fib: Arc<Fib>,
        adjacency: Arc<Adjacency>,
        token: u64,
        now: Instant,
    ) -> Self {
        fib.admit(token, adjacency.clone());
        Self {
            fib,
            adjacency,
            current: token,
            since: now,
            old: None,
        }
    }

    /// Takes the old token back when it is time; returns a new one to tell the neighbour when it is
    /// time for that.
    pub(super) fn rotate(&mut self, now: Instant) -> Option<Token> {
        if let Some((old, until)) = self.old
            && now >= until
        {
            self.fib.revoke(old);
            self.old = None;
        }
        if now.saturating_duration_since(self.since) < ROTATION {
            return None;
        }
        let token = rand::random();
        self.fib.admit(token, self.adjacency.clone());
        self.old = Some((self.current, now + GRACE));
        self.current = token;
        self.since = now;
        Some(Token { token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{Port, Remote};
    use crate::identity::{AgentId, ShortId};

    #[tokio::test]
    async fn the_old_token_works_for_a_while_beside_the_new_one() {
        let (fib, _reports) = Fib::new(ShortId(1), true);
        let port = Port::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let remote = Remote {
            address: "127.0.0.1:9".parse().unwrap(),
            source: None,
        };
        let adjacency = Adjacency::new(AgentId([2; 16]), port, remote, 0);
        let start = Instant::now();
        let mut tokens = Tokens::admit(fib.clone(), adjacency, 11, start);
        let works = |token| fib.by_token(token).is_some();
        assert!(works(11));
        assert_eq!(tokens.rotate(start + ROTATION / 2), None);

        let rotated = start + ROTATION;
        let new = tokens.rotate(rotated).expect("an hour is over").token;
        assert!(new != 11 && works(11) && works(new));
        assert_eq!(tokens.rotate(rotated + GRACE / 2), None);
        assert!(works(11) && works(new));
        assert_eq!(tokens.rotate(rotated + GRACE), None);
        assert!(!works(11) && works(new));
    }
}
