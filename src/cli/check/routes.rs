//! Whether the sections fit each other: routes that reach nothing, agents that meet nobody.

use super::{CheckLine, special};
use crate::config::Config;

pub(super) fn check(config: &Config) -> Vec<CheckLine> {
    let mut lines = Vec::new();
    if let Some(exit) = &config.exit {
        lines.push(match (exit.routes.len(), exit.domain_routes.len()) {
            (0, 0) => CheckLine::warn(
                "exit",
                "neither routes nor domain_routes: nothing is advertised, so nobody sends anything",
            ),
            (0, _) => CheckLine::warn(
                "exit",
                "domain_routes without routes: nothing is reachable, because an exit dials only \
                 addresses inside its routes; add the prefixes that the names resolve to",
            ),
            (prefixes, domains) => CheckLine::ok(
                "exit",
                format!("advertises prefixes: {prefixes}, domains: {domains}"),
            ),
        });
        lines.extend(special::check(exit));
    }
    if config.peers.is_empty() {
        lines.push(match (&config.listeners[..], &config.socks5) {
            ([], _) => CheckLine::warn(
                "peers",
                "neither peers nor listeners: this agent meets nobody",
            ),
            (_, Some(_)) => CheckLine::warn(
                "peers",
                "none: this ingress has no route until somebody dials it",
            ),
            (_, None) => CheckLine::ok("peers", "none; waits to be dialled"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn what_reaches_nothing_is_warned_of() {
        let shown = |config: &Config| {
            let lines = check(config).into_iter();
            lines.map(|line| line.to_string()).collect::<Vec<_>>()
        };
        let mut config = fixture::exit();
        assert_eq!(
            shown(&config)[0],
            "ok    exit: advertises prefixes: 1, domains: 1"
        );
        config.exit.as_mut().unwrap().routes.clear();
        assert!(shown(&config)[0].starts_with("warn  exit: domain_routes without routes"));
        config.exit.as_mut().unwrap().domain_routes.clear();
        assert!(shown(&config)[0].starts_with("warn  exit: neither"));
        config.listeners.clear();
        assert!(shown(&config)[1].starts_with("warn  peers: neither"));
    }

    #[test]
    fn an_ingress_without_peers_waits_for_others() {
        let mut config = fixture::ingress();
        assert_eq!(check(&config), []);
        config.peers.clear();
        assert!(check(&config)[0].text.contains("until somebody dials it"));
        config.socks5 = None;
        assert_eq!(
            check(&config)[0].to_string(),
            "ok    peers: none; waits to be dialled"
        );
    }
}
