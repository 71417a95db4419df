//! Open files: the process takes what the system gives it, and connections leave a rest for what keeps
//! the agent alive and operable.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use crate::config::{Config, DEFAULT_MAX_CONNECTIONS, Limits};
use crate::names::{SPARE_ATTEMPTS, SPARE_QUERIES};

/// Descriptors beside connections and name queries: sockets of the listeners, runtime, logs, key files
/// while they are read, and room for an operator.
const BASE: usize = 128;

/// Sockets of a name query: one for each address family.
const SOCKETS_PER_NAME: usize = 2;

/// Name queries have this part of all descriptors at most: one in so many.
const NAMES_PART: usize = 4;

/// Fewer connections than this are not worth an agent.
const LEAST: usize = 16;

/// Raises the limit of this process to the most that it may have, and lowers the numbers of connections
/// and name queries in `config` to what fits in it. Links share a port, so they need none.
pub(super) fn fit(config: &mut Config) {
    let Some(limit) = raise() else { return };
    if config.exit.is_some() {
        let wanted = config.limits.dns_queries;
        let fit = names(limit, wanted);
        config.limits.dns_queries = fit;
        let default = Limits::default().dns_queries;
        tell("limits.dns_queries", limit, wanted, fit, default);
    }
    let room = limit.saturating_sub(reserve(config));
    let clients = config.socks5.as_ref().map_or(0, |s| s.max_connections);
    let targets = match config.exit {
        Some(_) => config.limits.exit_connections,
        None => 0,
    };
    let (fit_clients, fit_targets) = share(room, clients, targets);
    if let Some(socks5) = &mut config.socks5 {
        socks5.max_connections = fit_clients;
        let default = DEFAULT_MAX_CONNECTIONS;
        tell(
            "socks5.max_connections",
            limit,
            clients,
            fit_clients,
            default,
        );
    }
    if config.exit.is_some() {
        config.limits.exit_connections = fit_targets;
        let default = Limits::default().exit_connections;
        tell(
            "limits.exit_connections",
            limit,
            targets,
            fit_targets,
            default,
        );
    }
}

/// Logs that fewer connections fit than `key` allows: a warning where the operator chose the number, news
/// where it is the default.
fn tell(key: &str, limit: usize, wanted: usize, fit: usize, default: usize) {
    if fit >= wanted {
        return;
    }
    let text = "open files: fewer connections fit than the file allows; raise the limit";
    if wanted == default {
        info!(key, limit, wanted, fit, "{text}");
    } else {
        warn!(key, limit, wanted, fit, "{text}");
    }
}

/// Descriptors that connections of clients and to targets may not take.
fn reserve(config: &Config) -> usize {
    let limits = &config.limits;
    let http = config.http.as_ref().map_or(0, |_| limits.http_connections);
    let names = config.exit.as_ref().map_or(0, |_| limits.dns_queries);
    let names = names.saturating_mul(SOCKETS_PER_NAME);
    [http, names, SPARE_ATTEMPTS, SPARE_QUERIES]
        .into_iter()
        .fold(BASE, usize::saturating_add)
}

/// So many names fit under that limit.
fn names(limit: usize, wanted: usize) -> usize {
    wanted.min((limit / NAMES_PART / SOCKETS_PER_NAME).max(LEAST))
}

/// So many of each fit into `room`, in their proportion.
fn share(room: usize, clients: usize, targets: usize) -> (usize, usize) {
    let wanted = clients.saturating_add(targets);
    if wanted <= room {
        return (clients, targets);
    }
    let part = |of: usize| {
        let fair = of as f64 / wanted as f64 * room as f64;
        (fair as usize).max(LEAST).min(of)
    };
    (part(clients), part(targets))
}

/// The limit of this process from now on; `None`: it has none.
fn raise() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // What is refused leaves the limit as it was.
    let _ = setrlimit(Resource::Nofile, wanted);
    let current = getrlimit(Resource::Nofile).current?;
    Some(usize::try_from(current).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_the_room_in_their_proportion() {
        for (room, clients, targets, expected) in [
            (100_000, 10_000, 65_536, (10_000, 65_536)),
            (9_000, 10_000, 0, (9_000, 0)),
            (9_000, 10_000, 65_536, (1_191, 7_808)),
            (0, 10_000, 65_536, (LEAST, LEAST)),
            (0, 4, 0, (4, 0)),
        ] {
            assert_eq!(share(room, clients, targets), expected);
        }
    }

    #[test]
    fn names_take_a_part_of_few_descriptors() {
        for (limit, wanted, expected) in [
            (1_048_576, 1_024, 1_024),
            (1_024, 1_024, 128),
            (1_024, 100, 100),
            (64, 1_024, LEAST),
            (64, 4, 4),
        ] {
            assert_eq!(names(limit, wanted), expected, "{limit}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_the_most() {
        let raised = raise();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(raised, limit.current.map(|limit| limit as usize));
    }
}
