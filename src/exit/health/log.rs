//! Checks that went up or down, and what that did to the exit's routes: listed for people.

use std::collections::HashSet;

use crate::config::Route;
use crate::tunnel::{Entry, Journal, Numbers};

/// Changes that are remembered: some minutes of the quickest checks that flap.
const CHANGES: usize = 256;

/// Routes named in one change; more are counted.
const ROUTES: usize = 32;

/// Characters of a reason that are kept.
const REASON: usize = 200;

/// A health check went up or down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthChange {
    pub check: String,
    /// Of the failure that took it down; `None`: it went up.
    pub failure: Option<String>,
    /// The first of the routes that are withdrawn or advertised by it.
    pub routes: Vec<Route>,
    /// All of them.
    pub route_count: usize,
}

/// The latest changes. Cloning shares them.
#[derive(Clone, Debug)]
pub struct HealthLog(Journal<HealthChange>);

impl HealthLog {
    /// An empty list, in the order of all lists with these numbers.
    pub fn new(numbers: &Numbers) -> Self {
        Self(Journal::new(CHANGES, numbers))
    }

    /// The latest changes, the newest last.
    pub fn snapshot(&self) -> Vec<Entry<HealthChange>> {
        self.0.snapshot()
    }

    /// Enters that the advertised routes went from `before` to `after` with a check.
    pub(super) fn record(
        &self,
        check: &str,
        failure: Option<&str>,
        before: &[Route],
        after: &[Route],
    ) {
        let (more, fewer) = match failure {
            Some(_) => (before, after),
            None => (after, before),
        };
        let fewer: HashSet<&Route> = fewer.iter().collect();
        let moved = || more.iter().filter(|route| !fewer.contains(route));
        self.0.record(HealthChange {
            check: check.to_owned(),
            failure: failure.map(|failure| failure.chars().take(REASON).collect()),
            routes: moved().take(ROUTES).cloned().collect(),
            route_count: moved().count(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moved_is_named_and_not_without_end() {
        let log = HealthLog::new(&Numbers::default());
        let routes: Vec<Route> = (0..100)
            .map(|i| Route::Prefix(format!("10.{i}.0.0/16").parse().unwrap()))
            .collect();
        log.record("db", Some(&"x".repeat(1_000)), &routes, &routes[50..]);
        log.record("db", None, &routes[50..], &routes[49..]);
        let [down, up] = log.snapshot().try_into().unwrap();
        assert_eq!(down.what.failure.unwrap().len(), REASON);
        assert_eq!(down.what.routes, routes[..ROUTES]);
        assert_eq!(down.what.route_count, 50);
        assert_eq!((up.what.check.as_str(), up.what.failure), ("db", None));
        assert_eq!(up.what.routes, routes[49..50]);
        assert_eq!(up.what.route_count, 1);
    }
}
