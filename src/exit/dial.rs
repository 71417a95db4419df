//! TCP dialling by Happy Eyeballs ([`race`]), and what its failures mean.

use std::io;
use std::time::Duration;

use futures_util::Stream;
use tokio::net::TcpStream;

use crate::names::{Failure, Part, connect, race};
use crate::wire::ConnectStatus;

/// Why no address answered.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Connects to the first address of `parts` that answers on `port`, each within `timeout`.
pub(super) async fn dial(
    parts: impl Stream<Item = Part>,
    port: u16,
    timeout: Duration,
) -> Result<TcpStream, DialError> {
    let raced = race(parts, port, timeout, connect).await;
    raced.map_err(|failure| most_telling(failure, timeout))
}

fn most_telling(failure: Failure<io::Error>, timeout: Duration) -> DialError {
    let timed_out = failure.timed_out.then_some(DialError::TimedOut(timeout));
    let errors = failure.errors.into_iter().map(DialError::Io);
    let telling = errors.chain(timed_out).reduce(|known, next| {
        if weight(&next) > weight(&known) {
            next
        } else {
            known
        }
    });
    telling.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable).into())
}

/// How much an error says about the target: a refusal is an answer, a missing route in one address
/// family is not.
fn weight(error: &DialError) -> u8 {
    let status = match error {
        DialError::TimedOut(_) => ConnectStatus::TimedOut,
        DialError::Io(error) => status(error),
    };
    match status {
        ConnectStatus::Refused => 4,
        ConnectStatus::TimedOut => 3,
        ConnectStatus::HostUnreachable => 2,
        ConnectStatus::NetworkUnreachable => 1,
        _ => 0,
    }
}

/// What a failed connect means to the one who asked.
pub(super) fn status(error: &io::Error) -> ConnectStatus {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => ConnectStatus::Refused,
        io::ErrorKind::TimedOut => ConnectStatus::TimedOut,
        io::ErrorKind::HostUnreachable => ConnectStatus::HostUnreachable,
        io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::Unsupported => ConnectStatus::NetworkUnreachable,
        // A local firewall rule forbids it.
        io::ErrorKind::PermissionDenied => ConnectStatus::NotAllowed,
        _ => ConnectStatus::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_failure_is_told() {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        for (kinds, timed_out, expected) in [
            (
                &[NetworkUnreachable, ConnectionRefused][..],
                true,
                "refused",
            ),
            (&[NetworkUnreachable, HostUnreachable], true, "no answer"),
            (&[NetworkUnreachable], false, "network unreachable"),
            (&[], false, "address not available"),
        ] {
            let failure = Failure {
                errors: kinds.iter().map(|kind| io::Error::from(*kind)).collect(),
                timed_out,
            };
            let told = most_telling(failure, Duration::from_secs(5)).to_string();
            assert!(told.contains(expected), "{told}");
        }
    }
}
