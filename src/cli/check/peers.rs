//! Whether the configured peers can be linked (`--connect`).

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt};

use super::CheckLine;
use crate::config::{Config, Peer};

/// Dials a peer as the agent would, hangs up, and says how it went in one sentence.
pub type Connect = for<'a> fn(&'a Config, &'a Peer) -> LocalBoxFuture<'a, Result<String, String>>;

/// Dials all peers at once; lines come in the file's order.
pub(super) async fn check(config: &Config, connect: Connect) -> Vec<CheckLine> {
    let dials = config.peers.iter().map(|peer| async move {
        let name = format!("{} at {}", peer.id, peer.address);
        match connect(config, peer).await {
            Ok(how) => CheckLine::ok("peers", format!("{name}: {how}")),
            Err(why) => CheckLine::fail("peers", format!("{name}: {why}")),
        }
    });
    dials.collect::<FuturesOrdered<_>>().collect().await
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::config::HostPort;

    #[tokio::test]
    async fn every_peer_gets_its_line_in_order() {
        let mut config = fixture::ingress();
        let mut second = config.peers[0].clone();
        second.address = HostPort {
            host: "bad.example".into(),
            port: 4433,
        };
        config.peers.push(second);
        let lines = check(&config, |_, peer| {
            Box::pin(async move {
                // The first one answers last.
                match peer.address.host.as_str() {
                    "bad.example" => Err("name not found".into()),
                    _ => {
                        tokio::task::yield_now().await;
                        Ok("linked".into())
                    }
                }
            })
        })
        .await;
        let lines: Vec<_> = lines.iter().map(ToString::to_string).collect();
        assert!(lines[0].starts_with("ok    peers: "), "{lines:?}");
        assert!(lines[0].ends_with("at 192.0.2.1:4433: linked"), "{lines:?}");
        assert!(
            lines[1].ends_with("at bad.example:4433: name not found"),
            "{lines:?}"
        );
        assert_eq!(lines.len(), 2);
    }
}
