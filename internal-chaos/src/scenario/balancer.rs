//! Debian's HAProxy in front of all ingresses, with the file that this repository ships but for its
//! addresses and for how many open files it insists on.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::process::{Daemon, command_here, find};
use crate::spot::Place;

/// As operators have it.
const SHIPPED: &str = include_str!("../../../configs/high-availability/active-active/haproxy.cfg");

/// From its start until it accepts.
const START_LIMIT: Duration = Duration::from_secs(5);

/// Rest between two looks.
const POLL: Duration = Duration::from_millis(20);

/// HAProxy as it shall be, and as it runs.
#[derive(Debug)]
pub(super) struct Balancer {
    front: SocketAddr,
    folder: PathBuf,
    ingresses: Vec<Place>,
    running: Option<Daemon>,
}

impl Balancer {
    /// One that accepts at `front` and does not run yet; its file and its log go to `folder`.
    pub(super) fn new(front: SocketAddr, folder: &Path, ingresses: Vec<Place>) -> Self {
        Self {
            front,
            folder: folder.to_owned(),
            ingresses,
            running: None,
        }
    }

    /// Where clients connect.
    pub(super) fn front(&self) -> SocketAddr {
        self.front
    }

    /// Starts it, and waits until it accepts. Servers are up for it until their checks fail.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let program = find("haproxy").context("install the Debian package `haproxy`")?;
        let file = self.folder.join("haproxy.cfg");
        fs::write(&file, document(self.front, &self.ingresses))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = command_here(program);
        command.arg("-db").arg("-f").arg(&file);
        let running = self
            .running
            .insert(Daemon::start("haproxy", command, &self.folder)?);
        let accepts = async {
            while TcpStream::connect(self.front).await.is_err() {
                running.check()?;
                sleep(POLL).await;
            }
            anyhow::Ok(())
        };
        timeout(START_LIMIT, accepts)
            .await
            .context("HAProxy does not accept")?
    }

    /// An error if it has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.running.as_mut().map_or(Ok(()), Daemon::check)
    }
}

/// The shipped file with this front and these ingresses.
fn document(front: SocketAddr, ingresses: &[Place]) -> String {
    let mut text = String::new();
    for line in SHIPPED.lines() {
        match line.split_whitespace().next() {
            Some("bind") => _ = writeln!(text, "    bind {front}"),
            // With fewer open files than it would have as a service, it takes fewer connections.
            Some("global") => _ = writeln!(text, "{line}\n    no strict-limits"),
            Some("server") => {}
            _ => _ = writeln!(text, "{line}"),
        }
    }
    for (number, place) in (1..).zip(ingresses) {
        let (socks, check) = (place.socks, place.http.port());
        _ = writeln!(text, "    server ingress{number} {socks} port {check}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_differ_from_the_shipped_file() {
        let place = |port: u16| Place {
            link: ([127, 0, 0, 1], port).into(),
            http: ([127, 0, 0, 1], port + 1).into(),
            socks: ([127, 0, 0, 1], port + 2).into(),
        };
        let text = document(([127, 0, 0, 1], 9).into(), &[place(10), place(20)]);
        let ours: Vec<&str> = text
            .lines()
            .filter(|line| !SHIPPED.lines().any(|shipped| shipped == *line))
            .map(str::trim)
            .collect();
        let wanted = [
            "no strict-limits",
            "bind 127.0.0.1:9",
            "server ingress1 127.0.0.1:12 port 11",
            "server ingress2 127.0.0.1:22 port 21",
        ];
        assert_eq!(ours, wanted);
        assert_eq!(text.lines().count(), SHIPPED.lines().count() + 1);
    }
}
