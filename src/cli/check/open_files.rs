//! Whether the file descriptor limit leaves room for the connections that the file allows.

use super::{CheckLine, connections};
use crate::config::Config;

const SUBJECT: &str = "open files";

/// Descriptors beside connections: sockets of the listeners, runtime, resolver, logs, key files
/// while they are read.
const BASE: usize = 64;

/// Reads this process's limit, so run it the way the agent will be run.
pub(super) fn check(config: &Config) -> Vec<CheckLine> {
    // Other systems have no such file, and nothing to warn of is known there.
    let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else {
        return Vec::new();
    };
    let needed = needed(config);
    vec![match hard_limit(&limits) {
        Some(limit) if limit < needed => CheckLine::warn(
            SUBJECT,
            format!(
                "the limit is {limit}, and the file allows connections for {needed}; raise it \
                 (`ulimit -Hn {needed}`, or LimitNOFILE= in the systemd unit)"
            ),
        ),
        Some(limit) if limit == usize::MAX => CheckLine::ok(SUBJECT, "no limit"),
        Some(limit) => CheckLine::ok(
            SUBJECT,
            format!("the limit is {limit}, {needed} are needed"),
        ),
        None => CheckLine::warn(SUBJECT, "cannot read the limit from /proc/self/limits"),
    }]
}

/// Descriptors in use when every connection that the file allows is open.
fn needed(config: &Config) -> usize {
    BASE.saturating_add(connections::all(config))
}

/// The hard limit in the text of `/proc/self/limits`, to which an agent raises its own; `unlimited` is
/// the largest number.
fn hard_limit(limits: &str) -> Option<usize> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_hard_limit_is_found() {
        let of = |row: &str| hard_limit(&format!("Limit  Soft  Hard  Units\n{row}\nMax x 1 1\n"));
        assert_eq!(of("Max open files   1024   524288   files"), Some(524_288));
        assert_eq!(
            of("Max open files   1024  unlimited files"),
            Some(usize::MAX)
        );
        assert_eq!(of("Max processes   1024   524288   files"), None);
    }

    #[test]
    fn every_kind_of_connection_counts() {
        let mut config = fixture::ingress();
        config.socks5.as_mut().unwrap().max_connections = 1_000;
        config.limits.http_connections = 50;
        assert_eq!(needed(&config), BASE + 1_050);
        config.exit = fixture::exit().exit;
        config.http = None;
        assert_eq!(needed(&config), BASE + 1_000 + connections::OF_EXIT);
    }

    #[test]
    fn a_limit_that_is_too_low_is_a_warning_that_says_the_number() {
        let mut config = fixture::ingress();
        config.socks5.as_mut().unwrap().max_connections = usize::MAX / 2;
        for line in check(&config) {
            assert!(line.to_string().starts_with("warn  open files: "), "{line}");
            assert!(line.text.contains(&needed(&config).to_string()));
        }
    }
}
