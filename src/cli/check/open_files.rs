//! Whether the file descriptor limit leaves room for the connections that the file allows.

use rustix::process::{Resource, getrlimit};

use super::{CheckLine, connections};
use crate::config::Config;

const SUBJECT: &str = "open files";

/// Descriptors beside connections and name queries: sockets of the listeners, runtime, logs, key files
/// while they are read, and room for an operator.
const BASE: usize = 128;

/// Reads this process's limit, so run it the way the agent will be run. An agent raises the soft limit
/// to the hard one itself.
pub(super) fn check(config: &Config) -> Vec<CheckLine> {
    let limit = getrlimit(Resource::Nofile).maximum;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    vec![line(limit, needed(config))]
}

/// `limit`: `None` if there is none.
fn line(limit: Option<usize>, needed: usize) -> CheckLine {
    match limit {
        Some(limit) if limit < needed => CheckLine::warn(
            SUBJECT,
            format!(
                "the limit is {limit}, and the file allows connections for {needed}, so the agent takes \
                 fewer; raise it (`ulimit -Hn {needed}`, or LimitNOFILE= in the systemd unit)"
            ),
        ),
        Some(limit) => CheckLine::ok(
            SUBJECT,
            format!("the limit is {limit}, {needed} are needed"),
        ),
        None => CheckLine::ok(SUBJECT, "no limit"),
    }
}

/// Descriptors in use when every connection and name query that the file allows is open.
fn needed(config: &Config) -> usize {
    let names = config
        .exit
        .as_ref()
        .map_or(0, |_| config.limits.dns_queries);
    BASE.saturating_add(names)
        .saturating_add(connections::all(config))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn every_kind_of_connection_counts() {
        let mut config = fixture::ingress();
        config.socks5.as_mut().unwrap().max_connections = 1_000;
        config.limits.http_connections = 50;
        assert_eq!(needed(&config), BASE + 1_050);
        config.exit = fixture::exit().exit;
        config.http = None;
        let own = config.limits.exit_connections + config.limits.dns_queries;
        assert_eq!(needed(&config), BASE + 1_000 + own);
    }

    #[test]
    fn a_limit_that_is_too_low_is_a_warning_that_says_the_number() {
        let low = line(Some(1_024), 10_320).to_string();
        assert!(
            low.starts_with("warn  open files: the limit is 1024, "),
            "{low}"
        );
        assert!(low.contains("`ulimit -Hn 10320`"), "{low}");
        let enough = line(Some(20_000), 10_320).to_string();
        assert_eq!(
            enough,
            "ok    open files: the limit is 20000, 10320 are needed"
        );
        assert_eq!(line(None, 1).to_string(), "ok    open files: no limit");
        assert_eq!(check(&fixture::ingress()).len(), 1);
    }
}
