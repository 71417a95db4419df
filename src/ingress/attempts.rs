//! The attempts of one request: which are worth making, and what the failed ones say together.

use std::collections::VecDeque;

use super::error::{Blame, ConnectError};
use crate::identity::AgentId;
use crate::wire::Target;

/// Attempts inside one request, whatever the number of exits and addresses.
pub(super) const MAX_ATTEMPTS: usize = 8;

/// One exit asked for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) exit: AgentId,
    pub(super) target: Target,
}

/// The failed attempts of one request, and the most telling failure of them.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) verdict: Option<ConnectError>,
    attempts: Vec<(Attempt, Blame)>,
}

impl Failures {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.attempts.len()
    }

    pub(super) fn add(&mut self, attempt: Attempt, error: ConnectError) {
        self.attempts.push((attempt, error.blame()));
        self.verdict = Some(match self.verdict.take() {
            Some(verdict) => verdict.or(error),
            None => error,
        });
    }

    pub(super) fn has_answered(&self, target: &Target) -> bool {
        let mut failed = self.attempts.iter();
        failed.any(|(attempt, blame)| *blame == Blame::Target && attempt.target == *target)
    }

    /// Whether every failure was the mesh's.
    pub(super) fn are_of_mesh(&self) -> bool {
        let mut blames = self.attempts.iter().map(|(_, blame)| blame);
        blames.all(|blame| matches!(blame, Blame::Way | Blame::Exit))
    }

    /// Whether a way to an exit was there and died.
    pub(super) fn has_lost_a_way(&self) -> bool {
        let mut blames = self.attempts.iter().map(|(_, blame)| blame);
        blames.any(|blame| *blame == Blame::Way)
    }

    /// Those of `attempts` that deserve to be made: exits that were not asked; those that are in reach
    /// again, once at once and then only if that `is_news`, or eight attempts would be over in a
    /// millisecond.
    pub(super) fn worth_trying(&self, mut attempts: Vec<Attempt>, is_news: bool) -> Vec<Attempt> {
        attempts.retain(|attempt| {
            let before = self.attempts.iter().filter(|(made, _)| made == attempt);
            let lost = before.clone().filter(|(_, blame)| *blame == Blame::Way);
            let (before, lost) = (before.count(), lost.count());
            before == lost && (is_news || lost < 2)
        });
        attempts.truncate(MAX_ATTEMPTS.saturating_sub(self.attempts.len()));
        attempts
    }
}

/// The first attempt that may be made now.
pub(super) fn take_beside(
    waiting: &mut VecDeque<Attempt>,
    under_way: &[Attempt],
) -> Option<Attempt> {
    let at = waiting
        .iter()
        .position(|attempt| is_beside(attempt, under_way))?;
    waiting.remove(at)
}

/// Whether nobody is being asked for the target of `attempt`: a target is dialled by one exit at a time.
pub(super) fn is_beside(attempt: &Attempt, under_way: &[Attempt]) -> bool {
    under_way.iter().all(|other| other.target != attempt.target)
}
