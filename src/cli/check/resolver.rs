//! Whether the system's name servers answer (`--connect`): names of peers, and of targets at an exit
//! without servers of its own, are asked of them.

use std::net::SocketAddr;
use std::time::Duration;

use super::CheckLine;
use super::dns::ask;
use crate::config::Config;
use crate::names::{self, SystemFiles};

const SUBJECT: &str = "system dns";

/// Shorter than what a dial waits for a name; a server on this planet answers in a fifth of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A line for each name server, if anything depends on them.
pub(super) async fn check(config: &Config) -> Vec<CheckLine> {
    let Some(wanted) = wanted_for(config) else {
        return Vec::new();
    };
    let servers = names::system_servers(&SystemFiles::default());
    check_servers(&servers, wanted).await
}

/// What asks the system's name servers.
fn wanted_for(config: &Config) -> Option<&'static str> {
    let is_name = |host: &str| host.parse::<std::net::IpAddr>().is_err();
    let exit = config.exit.as_ref();
    if config.peers.iter().any(|peer| is_name(&peer.address.host)) {
        return Some("names of peers");
    }
    exit.is_some_and(|exit| exit.dns.servers.is_empty())
        .then_some("names of targets")
}

/// All dead is a failure, some dead a delay for every name.
async fn check_servers(servers: &[SocketAddr], wanted: &str) -> Vec<CheckLine> {
    let mut answers = Vec::new();
    for server in servers {
        answers.push((server, ask(*server, PATIENCE).await));
    }
    let one_lives = answers.iter().any(|(_, answer)| answer.is_ok());
    let line = |(server, answer): (&SocketAddr, Result<(), String>)| match answer {
        Ok(()) => CheckLine::ok(SUBJECT, format!("{server} answers")),
        Err(error) => {
            let what = format!("{server} does not answer: {error}");
            match one_lives {
                true => CheckLine::warn(SUBJECT, format!("{what}; each name may wait for it")),
                false => CheckLine::fail(SUBJECT, format!("{what}; {wanted} are asked of it")),
            }
        }
    };
    answers.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::dns::testing::server;
    use super::super::{Level, fixture};
    use super::*;
    use crate::config::HostPort;

    #[tokio::test]
    async fn dead_servers_fail_together_and_one_among_others_is_a_warning() {
        let alive = server(0).await;
        let dead = SocketAddr::from(([127, 0, 0, 1], 9));
        let levels = async |servers: &[SocketAddr]| {
            let lines = check_servers(servers, "names of peers").await;
            lines.iter().map(|line| line.level).collect::<Vec<_>>()
        };
        assert_eq!(levels(&[alive]).await, [Level::Ok]);
        assert_eq!(levels(&[dead, alive]).await, [Level::Warn, Level::Ok]);
        let lines = check_servers(&[dead], "names of peers").await;
        assert_eq!(lines[0].level, Level::Fail);
        let text = lines[0].to_string();
        assert!(text.contains("127.0.0.1:9 does not answer"), "{text}");
        assert!(text.ends_with("names of peers are asked of it"), "{text}");
    }

    #[test]
    fn they_are_asked_only_where_something_depends_on_them() {
        let mut config = fixture::ingress();
        assert_eq!(wanted_for(&config), None);
        config.peers[0].address = HostPort {
            host: "transit.example".into(),
            port: 4433,
        };
        assert_eq!(wanted_for(&config), Some("names of peers"));
        assert_eq!(wanted_for(&fixture::exit()), Some("names of targets"));
    }
}
