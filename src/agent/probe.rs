//! Whether a peer would take a link, asked with this agent's identity and trust.

use std::future::ready;
use std::net::SocketAddr;

use futures_util::StreamExt;

use super::parts::Parts;
use super::resolve::SystemResolver;
use super::skew;
use crate::clock::unix_ms;
use crate::config::{Config, Peer};
use crate::identity::{Identity, link_client};
use crate::link::{self, DialError, Resolve};
use crate::names::race;

/// Clocks that are kept by NTP are nearer.
const CLOCK_GRAIN_MS: u64 = 2_000;

/// Agents whose clocks are farther apart leave each other out of the mesh.
const CLOCK_SLACK_MS: u64 = 120_000;

/// Dials `peer` as the agent that `config` describes would, and hangs up. Either answer is one
/// sentence for people. Writes nothing.
pub async fn probe(config: &Config, peer: &Peer) -> Result<String, String> {
    let identity = match &config.tls.cert_and_key {
        Some((certificate, key)) => Identity::from_pem(certificate, key).map(Some),
        None => Identity::load(&config.agent.data_dir),
    };
    let identity = identity
        .map_err(|error| error.to_string())?
        .ok_or("not dialled, because there is no identity yet; make one with `warren init`")?;
    let parts = Parts::in_memory(config.clone(), identity.value).map_err(|e| e.to_string())?;
    let trust = parts.trust_for(peer).map_err(|e| e.to_string())?;
    let tls = link_client(&parts.identity, trust, peer.id).map_err(|e| e.to_string())?;
    let mut reason = "it has no address".to_owned();
    let parts = SystemResolver::new().resolve(&peer.address.host);
    let parts = parts.filter_map(|part| ready(part.map_err(|e| reason = e.to_string()).ok()));
    let dial = |address: SocketAddr| {
        let probing = link::probe(address, tls.clone(), &config.limits);
        async move { Ok::<_, DialError>((address, probing.await?)) }
    };
    // Each attempt ends by itself.
    let patience = 4 * config.limits.handshake_timeout;
    let raced = race(parts, peer.address.port, patience, dial).await;
    match raced {
        Ok((address, probed)) => {
            let rtt = probed.rtt.as_secs_f64() * 1_000.0;
            let name = probed.display_name;
            // A process that started in our future has another clock, too.
            let started_ahead = probed.epoch.saturating_sub(unix_ms());
            let ahead_ms = probed.ahead_ms.unwrap_or(started_ahead.cast_signed());
            let answers = format!("{address} answers as {name}, round trip {rtt:.1} ms");
            compared(answers, ahead_ms)
        }
        Err(failure) => Err(match failure.errors.into_iter().next_back() {
            Some(last) => last.to_string(),
            None => format!("cannot resolve {}: {reason}", peer.address.host),
        }),
    }
}

/// `answers` with what is to be said of the peer's clock; too far ahead or behind it is no use.
fn compared(answers: String, ahead_ms: i64) -> Result<String, String> {
    let words = skew::words(ahead_ms);
    let apart = ahead_ms.unsigned_abs();
    if apart <= CLOCK_GRAIN_MS {
        Ok(answers)
    } else if apart <= CLOCK_SLACK_MS {
        Ok(format!("{answers}; its clock is {words} this host's"))
    } else {
        Err(format!(
            "{answers}, but its clock is {words} this host's, and agents leave each other out of the mesh \
             beyond 120 s: set the clocks of both hosts"
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Agent;
    use super::*;
    use crate::cli::check::fixture;
    use crate::config::HostPort;
    use crate::identity::AgentId;

    /// A listening agent that accepts `allowed` alone.
    async fn listening(allowed: AgentId) -> (Agent, AgentId) {
        let mut config = fixture::exit();
        config.agent.display_name = Some("exit-a".into());
        config.allow = [allowed].into();
        config.http = None;
        let parts = Parts::in_memory(config, Identity::ephemeral().unwrap()).unwrap();
        let id = parts.id();
        (Agent::start(parts).await.unwrap(), id)
    }

    fn dialling(data_dir: &Path, id: AgentId, address: SocketAddr) -> Config {
        let mut config = fixture::ingress();
        config.agent.data_dir = data_dir.to_owned();
        config.peers[0].id = id;
        config.peers[0].address = HostPort {
            host: address.ip().to_string(),
            port: address.port(),
        };
        config
    }

    #[tokio::test]
    async fn a_peer_that_accepts_us_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let own = Identity::load_or_create(dir.path()).unwrap().value.id();
        let (agent, id) = listening(own).await;
        let config = dialling(dir.path(), id, agent.listeners()[0]);
        let how = probe(&config, &config.peers[0]).await.unwrap();
        assert!(how.contains("answers as exit-a, round trip"), "{how}");
        agent.shutdown().await;
    }

    #[test]
    fn clocks_are_compared_both_ways() {
        let told = |ahead_ms| compared("a answers".to_owned(), ahead_ms);
        for near in [0, 2_000, -2_000] {
            assert_eq!(told(near).unwrap(), "a answers");
        }
        let fast = told(90_000).unwrap();
        assert_eq!(fast, "a answers; its clock is 90 s ahead of this host's");
        assert!(told(-120_000).is_ok());
        for (ahead_ms, words) in [
            (180_000, "180 s ahead of this host's"),
            (-180_000, "180 s behind this host's"),
            (i64::MAX, "ahead of"),
            (i64::MIN, "behind"),
        ] {
            let refused = told(ahead_ms).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[tokio::test]
    async fn refusals_of_either_side_are_told() {
        let dir = tempfile::tempdir().unwrap();
        Identity::load_or_create(dir.path()).unwrap();
        let (agent, id) = listening(AgentId([1; 16])).await;
        let address = agent.listeners()[0];
        let config = dialling(dir.path(), id, address);
        let why = probe(&config, &config.peers[0]).await.unwrap_err();
        assert!(why.contains(&address.to_string()), "{why}");

        let config = dialling(dir.path(), AgentId([2; 16]), address);
        let why = probe(&config, &config.peers[0]).await.unwrap_err();
        assert!(why.contains("handshake with"), "{why}");
        assert!(why.contains(&id.to_string()), "{why}");
        agent.shutdown().await;
    }

    #[tokio::test]
    async fn without_an_identity_nobody_is_dialled() {
        let dir = tempfile::tempdir().unwrap();
        let nowhere = "127.0.0.1:9".parse().unwrap();
        let config = dialling(dir.path(), AgentId([2; 16]), nowhere);
        let why = probe(&config, &config.peers[0]).await.unwrap_err();
        assert!(why.contains("warren init"), "{why}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
