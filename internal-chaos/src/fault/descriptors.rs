//! A process that runs out of file descriptors.

use std::collections::BTreeSet;
use std::io;

use procfs::ProcError;
use procfs::process::LimitValue;
use rustix::process::{Resource, Rlimit, prlimit};

use super::victim::{FaultError, Victim};

/// A process whose limit on open files was lowered to what it has open now; dropping it restores
/// the limit.
#[derive(Debug)]
#[must_use = "the limit is restored when the guard is dropped"]
pub struct Starved {
    victim: Victim,
    before: Rlimit,
}

impl Starved {
    /// Leaves the process room for `spare` more descriptors. What is open stays open.
    pub fn strike(victim: &Victim, spare: usize) -> Result<Self, FaultError> {
        let look = |source: ProcError| victim.failed("look at", io::Error::other(source));
        let process = victim.process().map_err(look)?;
        let maximum = match process.limits().map_err(look)?.max_open_files.hard_limit {
            LimitValue::Value(maximum) => Some(maximum),
            LimitValue::Unlimited => None,
        };
        let open = process.fd().map_err(look)?.flatten();
        let open = open.map(|info| info.fd.unsigned_abs().into()).collect();
        let lowered = Rlimit {
            current: Some(limit(&open, spare)),
            maximum,
        };
        let before = prlimit(Some(victim.raw()), Resource::Nofile, lowered)
            .map_err(|source| victim.failed("limit", source))?;
        Ok(Self {
            victim: victim.clone(),
            before,
        })
    }
}

impl Drop for Starved {
    fn drop(&mut self) {
        // The process may have ended; then its limit has, too.
        let _ = prlimit(Some(self.victim.raw()), Resource::Nofile, self.before);
    }
}

/// The limit at which `spare` numbers are free: it is one above the largest number allowed, and
/// new descriptors take the lowest free number (getrlimit(2), open(2)).
fn limit(open: &BTreeSet<u64>, spare: usize) -> u64 {
    let mut free = (0..).filter(|number| !open.contains(number));
    free.nth(spare).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_spare_numbers_are_free() {
        let open = BTreeSet::from([0, 1, 2, 5, 6]);
        assert_eq!(limit(&open, 0), 3);
        assert_eq!(limit(&open, 1), 4);
        assert_eq!(limit(&open, 2), 7);
        assert_eq!(limit(&open, 3), 8);
    }
}
