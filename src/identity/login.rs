//! Who knows a secret: SOCKS5 users and the holder of the management token, checked in one place.
//!
//! A hash costs tens of milliseconds and megabytes by design, so it is computed by [`Checks`], off
//! the packet thread and a bounded number at once, whatever becomes of the client. What verified is
//! remembered as a keyed hash under a random key of this process: whoever logged in once never
//! waits behind those who guess.

mod attempts;
mod checks;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use subtle::ConstantTimeEq;
use tracing::warn;

use super::password;
use crate::limit::Told;
use attempts::Attempts;
pub use checks::Checks;

/// Bytes of a remembered hash (SHA-256).
const TAG: usize = 32;

/// What presented credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    Wrong,
    /// Not looked at: the source failed too often, or too many wait for a check.
    TooOften,
}

/// Names and the hashes of their secrets.
pub struct Login {
    /// What is opened, for the log: `socks5`, `http`.
    door: &'static str,
    hashes: HashMap<String, Arc<str>>,
    /// Checked in place of an unknown name's hash, so that time does not tell which names exist.
    /// The costliest of all; `None`: nobody is let in.
    decoy: Option<Arc<str>>,
    /// Microseconds that the last check as costly as the decoy took.
    slowest: AtomicU64,
    key: hmac::Key,
    /// The last secret that verified, keyed and hashed, by name: never more entries than names.
    verified: Mutex<HashMap<String, [u8; TAG]>>,
    attempts: Arc<Attempts>,
    checks: Arc<Checks>,
    told: Told,
}

impl Login {
    /// Lets in who knows the secret of one of `hashes` (name and argon2 or bcrypt hash), and nobody
    /// else. `door` is named in the log.
    pub fn new<N, H>(
        door: &'static str,
        hashes: impl IntoIterator<Item = (N, H)>,
        checks: Arc<Checks>,
    ) -> Self
    where
        N: Into<String>,
        H: Into<Arc<str>>,
    {
        let hashes: HashMap<String, Arc<str>> = hashes
            .into_iter()
            .map(|(name, hash)| (name.into(), hash.into()))
            .collect();
        let decoy = hashes.values().max_by_key(|hash| password::cost(hash));
        Self {
            door,
            decoy: decoy.cloned(),
            hashes,
            slowest: AtomicU64::new(0),
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
                .expect("the system gives randomness"),
            verified: Mutex::default(),
            attempts: Arc::default(),
            checks,
            told: Told::default(),
        }
    }

    /// Whether `secret`, presented by `source`, is `name`'s. What is not [`Verdict::Valid`] is
    /// logged, as far as the log's rate allows.
    pub async fn verify(&self, source: IpAddr, name: &[u8], secret: Vec<u8>) -> Verdict {
        let name = String::from_utf8_lossy(name);
        let tag = self.tag(&name, &secret);
        if self.is_remembered(&name, &tag) {
            return Verdict::Valid;
        }
        let verdict = self.check(source, &name, secret).await;
        match verdict {
            Verdict::Valid => {
                let mut remembered = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
                remembered.insert(name.into_owned(), tag);
            }
            Verdict::Wrong | Verdict::TooOften => self.tell(source, verdict),
        }
        verdict
    }

    /// Tells the log of a refused login. Names are left out: passwords are typed into their place.
    fn tell(&self, source: IpAddr, verdict: Verdict) {
        let Some(untold) = self.told.turn() else {
            return;
        };
        let why = match verdict {
            Verdict::TooOften => "too many failed or wait",
            Verdict::Wrong | Verdict::Valid => "wrong name or secret",
        };
        warn!(door = self.door, %source, why, untold, "login refused");
    }

    /// [`Self::verify`] past the memory of what verified.
    async fn check(&self, source: IpAddr, name: &str, secret: Vec<u8>) -> Verdict {
        let known = self.hashes.get(name);
        let Some(decoy) = &self.decoy else {
            return Verdict::Wrong;
        };
        let hash = known.unwrap_or(decoy).clone();
        let is_costliest = password::cost(&hash) == password::cost(decoy);
        let is_known = known.is_some();
        let work = move || is_known & password::verify(&hash, secret);
        let (verdict, took) = self.checks.run(&self.attempts, source, work).await;
        if verdict == Verdict::TooOften {
            return verdict;
        }
        if is_costliest {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.slowest.store(micros, Ordering::Relaxed);
        } else if verdict == Verdict::Wrong {
            // A cheap hash would tell that its name exists.
            let due = Duration::from_micros(self.slowest.load(Ordering::Relaxed));
            tokio::time::sleep(due.saturating_sub(took)).await;
        }
        verdict
    }

    fn is_remembered(&self, name: &str, tag: &[u8; TAG]) -> bool {
        let remembered = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        remembered
            .get(name)
            .is_some_and(|known| known.ct_eq(tag).into())
    }

    fn tag(&self, name: &str, secret: &[u8]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.key);
        // The length keeps "ab" + "c" apart from "a" + "bc".
        context.update(&name.len().to_be_bytes());
        context.update(name.as_bytes());
        context.update(secret);
        let mut tag = [0; TAG];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("door", &self.door)
            .field("names", &self.hashes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
