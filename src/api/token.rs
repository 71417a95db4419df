//! The bearer token: verified against its slow hash once, against a keyed one from then on.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;

use crate::config::PasswordHash;
use crate::identity::password;

/// Tokens one source may have hashed at once, and then one per second: a person's typing errors
/// fit, a search does not.
const BURST: NonZeroU32 = NonZeroU32::new(5).expect("not zero");

/// Sources remembered at once; each costs some 30 bytes. With that many guessing in the same
/// seconds, nobody's unknown token is hashed.
const SOURCES: usize = 4_096;

/// What a presented token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    Wrong,
    /// Not looked at: the source, or all of them together, asked too often.
    TooOften,
}

/// Checks tokens against one hash.
pub(super) struct TokenCheck {
    hash: Arc<PasswordHash>,
    /// Random per process, so that [`Self::good`] is useless outside it.
    key: hmac::Key,
    /// The last token that verified, hashed with [`Self::key`].
    good: Mutex<Option<hmac::Tag>>,
    attempts: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
    at_once: Arc<Semaphore>,
}

impl TokenCheck {
    /// Hashes at most `at_once` tokens at the same time.
    pub(super) fn new(hash: PasswordHash, at_once: usize) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system gives randomness");
        Self {
            hash: Arc::new(hash),
            key,
            good: Mutex::new(None),
            attempts: RateLimiter::hashmap(Quota::per_second(NonZeroU32::MIN).allow_burst(BURST)),
            at_once: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// Whether `token`, presented by `source`, is the one. Time does not depend on how much of it
    /// is right. The known token is never limited.
    pub(super) async fn check(&self, source: IpAddr, token: &[u8]) -> Verdict {
        if self.is_known(token) {
            return Verdict::Valid;
        }
        if !self.may_try(source) {
            return Verdict::TooOften;
        }
        let Ok(permit) = Arc::clone(&self.at_once).try_acquire_owned() else {
            return Verdict::TooOften;
        };
        let (hash, presented) = (Arc::clone(&self.hash), token.to_vec());
        let verified = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, which goes on if the client hangs up.
            let _permit = permit;
            password::verify(&hash.0, presented)
        });
        if !matches!(verified.await, Ok(true)) {
            return Verdict::Wrong;
        }
        let tag = hmac::sign(&self.key, token);
        *self.good.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
        Verdict::Valid
    }

    fn is_known(&self, token: &[u8]) -> bool {
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        good.as_ref()
            .is_some_and(|tag| hmac::verify(&self.key, token, tag.as_ref()).is_ok())
    }

    fn may_try(&self, source: IpAddr) -> bool {
        if self.attempts.len() >= SOURCES {
            self.attempts.retain_recent();
            if self.attempts.len() >= SOURCES {
                return false;
            }
        }
        self.attempts.check_key(&network(source)).is_ok()
    }
}

/// What one guesser can be assumed to own: an IPv4 address or an IPv6 /64.
fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_of(token: &str) -> TokenCheck {
        // The lowest bcrypt cost keeps the tests quick.
        let hash = bcrypt::hash(token, 4).unwrap();
        TokenCheck::new(PasswordHash(hash), 2)
    }

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[tokio::test]
    async fn guessing_is_slowed_down_and_does_not_lock_the_holder_out() {
        let check = check_of("s3cret");
        assert_eq!(check.check(GUESSER, b"s3cret").await, Verdict::Valid);
        for _ in 1..BURST.get() {
            assert_eq!(check.check(GUESSER, b"guess").await, Verdict::Wrong);
        }
        assert_eq!(check.check(GUESSER, b"guess").await, Verdict::TooOften);
        assert_eq!(check.check(GUESSER, b"s3cret").await, Verdict::Valid);
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        assert_eq!(check.check(other, b"guess").await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn only_so_many_hashes_are_computed_at_once() {
        let check = check_of("s3cret");
        let held = Arc::clone(&check.at_once).acquire_many_owned(2).await;
        assert_eq!(check.check(GUESSER, b"s3cret").await, Verdict::TooOften);
        drop(held);
        assert_eq!(check.check(GUESSER, b"s3cret").await, Verdict::Valid);
    }

    #[tokio::test]
    async fn sources_are_remembered_up_to_a_bound() {
        let check = check_of("s3cret");
        for n in 0..SOURCES {
            let n = u32::try_from(n).unwrap();
            assert!(check.may_try(IpAddr::V4(n.into())));
        }
        assert!(check.attempts.len() <= SOURCES);
    }

    #[test]
    fn an_ipv6_guesser_owns_a_64() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
