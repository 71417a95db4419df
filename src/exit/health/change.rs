//! That a check went up or down, and what that did to the exit's routes.

use std::collections::HashSet;

use crate::config::Route;
use crate::record::Event;
use crate::text::reason;

/// Routes named in one event; more are counted.
const ROUTES: usize = 32;

/// The advertised routes went from `before` to `after` with a check. `failure`: the one that took it
/// down; `None`: it went up.
pub(super) fn event(
    check: &str,
    failure: Option<&str>,
    before: &[Route],
    after: &[Route],
) -> Event {
    let (more, fewer) = match failure {
        Some(_) => (before, after),
        None => (after, before),
    };
    let fewer: HashSet<&Route> = fewer.iter().collect();
    let moved = || more.iter().filter(|route| !fewer.contains(route));
    let check = check.to_owned();
    let routes = moved().take(ROUTES).map(ToString::to_string).collect();
    let route_count = moved().count();
    match failure {
        Some(failure) => Event::HealthDown {
            check,
            reason: reason(failure),
            routes,
            route_count,
        },
        None => Event::HealthUp {
            check,
            routes,
            route_count,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_moved_is_named_and_not_without_end() {
        let routes: Vec<Route> = (0..100)
            .map(|i| Route::Prefix(format!("10.{i}.0.0/16").parse().unwrap()))
            .collect();
        let names: Vec<String> = routes.iter().map(ToString::to_string).collect();
        let long = "x".repeat(1_000);
        let down = Event::HealthDown {
            check: "db".to_owned(),
            reason: reason(&long),
            routes: names[..ROUTES].to_vec(),
            route_count: 50,
        };
        assert_eq!(event("db", Some(&long), &routes, &routes[50..]), down);
        let up = Event::HealthUp {
            check: "db".to_owned(),
            routes: vec![names[49].clone()],
            route_count: 1,
        };
        assert_eq!(event("db", None, &routes[50..], &routes[49..]), up);
    }
}
