//! What HAProxy's `agent-check` asks for: a line of words to whoever connects (HAProxy's configuration
//! manual, server option `agent-check`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Agent, Status};
use crate::accept::Acceptor;
use crate::clock;
use crate::limit::{Network, STRANGERS, Shares};
use crate::task::{self, Served};

/// Checks under way at once. One takes a round trip.
const PLACES: usize = 64;

/// How long a check may take to hear its line and leave.
const LIMIT: Duration = Duration::from_secs(1);

/// How long `ready` goes with `up` after a start or a drain. HAProxy keeps a server drained until it
/// hears `ready`, which undoes what its operator set by hand, too: so it is not said for ever.
const READY_FOR: Duration = Duration::from_secs(60);

/// Answers checks, one line each, until it is dropped; those under way end by themselves.
pub async fn serve_checks<A: Agent>(listener: TcpListener, agent: Arc<A>) {
    let mut acceptor = Acceptor::new("agent-check");
    let places = Shares::new(PLACES, STRANGERS);
    let mut words = Words::new(clock::now());
    loop {
        let (tcp, from) = acceptor.next(|| listener.accept(), || ()).await;
        if let Some(place) = places.take(Network::from(from.ip())) {
            let word = words.word(agent.health().status, clock::now());
            let weight = agent
                .weight()
                .map_or_else(String::new, |free| format!(" {free}%"));
            let line = format!("{word}{weight}\n");
            task::serve(Served::Client, async move {
                // One that does not read or leave in time hears no more.
                let _ = timeout(LIMIT, answer(tcp, line)).await;
                drop(place);
            });
        }
    }
}

/// Closing with bytes of it unread (`agent-send`) would turn the line into a reset.
async fn answer(mut tcp: TcpStream, line: String) -> std::io::Result<()> {
    tcp.write_all(line.as_bytes()).await?;
    tcp.shutdown().await?;
    let mut unread = [0; 256];
    while tcp.read(&mut unread).await? > 0 {}
    Ok(())
}

/// What is said to HAProxy, which remembers the last.
struct Words {
    ready_until: Instant,
}

impl Words {
    fn new(now: Instant) -> Self {
        Self {
            ready_until: now + READY_FOR,
        }
    }

    fn word(&mut self, status: Status, now: Instant) -> &'static str {
        match status {
            Status::Draining => {
                self.ready_until = now + READY_FOR;
                "drain"
            }
            Status::Unavailable => "down",
            Status::Healthy | Status::Degraded if now < self.ready_until => "up ready",
            Status::Healthy | Status::Degraded => "up",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_said_for_a_minute_after_a_start_and_after_a_drain() {
        let start = clock::now();
        let mut words = Words::new(start);
        let heard = [
            (0, Status::Unavailable),
            (1, Status::Healthy),
            (59, Status::Degraded),
            (60, Status::Healthy),
            (70, Status::Draining),
            (80, Status::Draining),
            (139, Status::Healthy),
            (140, Status::Degraded),
            (141, Status::Unavailable),
        ]
        .map(|(at, status)| words.word(status, start + Duration::from_secs(at)));
        let wanted = [
            "down", "up ready", "up ready", "up", "drain", "drain", "up ready", "up", "down",
        ];
        assert_eq!(heard, wanted);
    }
}
