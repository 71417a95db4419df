//! Accepts clients of a TCP port, whatever the kernel answers meanwhile.

use std::io;
use std::time::Duration;

use tracing::warn;

/// How long accepting rests after the kernel refused to (no file descriptors, no memory).
const REST: Duration = Duration::from_millis(100);

/// What accepts at one door.
#[derive(Debug)]
pub(crate) struct Acceptor {
    /// Whose clients come, for the log: `SOCKS5`, `HTTP`.
    door: &'static str,
    /// The log was told since somebody was accepted.
    told: bool,
}

impl Acceptor {
    pub(crate) fn new(door: &'static str) -> Self {
        Self { door, told: false }
    }

    /// The next client that `accept` yields; `failed` counts what it fails with until then. May be
    /// dropped and called again.
    pub(crate) async fn next<T, F: Future<Output = io::Result<T>>>(
        &mut self,
        mut accept: impl FnMut() -> F,
        mut failed: impl FnMut(),
    ) -> T {
        loop {
            match accept().await {
                Ok(client) => {
                    self.told = false;
                    return client;
                }
                Err(error) => {
                    failed();
                    if is_of_one_client(&error) {
                        continue;
                    }
                    if !std::mem::replace(&mut self.told, true) {
                        let door = self.door;
                        warn!(%error, "accepting {door} clients fails; check the limit of open files");
                    }
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

/// Whether an accept error is about the one connection that was to be accepted, or about nothing.
fn is_of_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::clock;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_left_costs_no_rest_and_an_exhausted_host_does() {
        let mut acceptor = Acceptor::new("SOCKS5");
        let started = clock::now();
        let mut results = vec![
            Ok(7),
            Err(io::ErrorKind::OutOfMemory),
            Err(io::ErrorKind::OutOfMemory),
            Ok(6),
            Err(io::ErrorKind::ConnectionAborted),
            Err(io::ErrorKind::Interrupted),
        ];
        let mut failures = 0;
        let mut accepted = Vec::new();
        for _ in 0..2 {
            let accept = || ready(results.pop().expect("six").map_err(io::Error::from));
            let client = acceptor.next(accept, || failures += 1).await;
            accepted.push((client, failures, clock::since(started)));
        }
        assert_eq!(accepted, [(6, 2, Duration::ZERO), (7, 4, 2 * REST)]);
    }
}
