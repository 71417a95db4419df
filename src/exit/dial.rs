//! TCP dialling by Happy Eyeballs (RFC 8305): families interleaved, attempts staggered.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;

use crate::wire::ConnectStatus;

/// Time until the next address is tried beside the ones under way: RFC 8305's recommended
/// Connection Attempt Delay.
const STAGGER: Duration = Duration::from_millis(250);

/// Most addresses of one name that are tried. Sockets are opened in parallel, so a name with a
/// thousand addresses must not cost a thousand of them.
const MAX_ADDRESSES: usize = 16;

/// Why no address answered.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Connects to the first of `addresses` that answers within `timeout`.
pub(super) async fn dial(
    addresses: Vec<SocketAddr>,
    timeout: Duration,
) -> Result<TcpStream, DialError> {
    let attempts = happy_eyeballs(interleave(addresses), STAGGER, TcpStream::connect);
    match tokio::time::timeout(timeout, attempts).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(DialError::TimedOut(timeout)),
    }
}

/// Alternates the families, beginning with the first address's; order within a family is kept.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let lead_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (lead, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == lead_is_v6);
    let (mut lead, mut other) = (lead.into_iter(), other.into_iter());
    let mut mixed = Vec::new();
    while mixed.len() < MAX_ADDRESSES {
        let before = mixed.len();
        mixed.extend(lead.next());
        mixed.extend(other.next());
        if mixed.len() == before {
            break;
        }
    }
    mixed
}

/// Runs `attempt` on each address in turn: the next one starts when one failed or `stagger` passed.
/// The first success wins and the others are dropped; if all fail, the most telling error is kept.
async fn happy_eyeballs<S, F, Fut>(
    addresses: Vec<SocketAddr>,
    stagger: Duration,
    attempt: F,
) -> io::Result<S>
where
    F: Fn(SocketAddr) -> Fut,
    Fut: Future<Output = io::Result<S>>,
{
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut failure: Option<io::Error> = None;
    loop {
        running.extend(waiting.next().map(&attempt));
        if running.is_empty() {
            return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        let stagger = tokio::time::sleep(stagger);
        tokio::select! {
            Some(result) = running.next() => match result {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    if failure.as_ref().is_none_or(|known| weight(&error) > weight(known)) {
                        failure = Some(error);
                    }
                }
            },
            () = stagger, if waiting.len() > 0 => {}
        }
    }
}

/// How much an error says about the target: a refusal is an answer, a missing route in one address
/// family is not.
fn weight(error: &io::Error) -> u8 {
    match status(error) {
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
    use std::sync::Mutex;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_alternate_from_the_first_address_on() {
        let mixed = interleave(addresses(&[
            "[::1]:1",
            "[::2]:1",
            "[::3]:1",
            "1.0.0.1:1",
            "1.0.0.2:1",
        ]));
        let expected = addresses(&["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"]);
        assert_eq!(mixed, expected);
        assert!(interleave(Vec::new()).is_empty());
    }

    #[test]
    fn a_name_with_many_addresses_costs_a_bounded_number_of_sockets() {
        let many = (0..1_000)
            .map(|port| SocketAddr::from(([10, 0, 0, 1], port)))
            .collect();
        assert_eq!(interleave(many).len(), MAX_ADDRESSES);
    }

    #[tokio::test]
    async fn a_silent_address_does_not_hold_up_the_next() {
        let list = addresses(&["[::1]:1", "1.0.0.1:1", "1.0.0.2:1"]);
        let winner = happy_eyeballs(list, Duration::from_millis(1), |address| async move {
            if address.is_ipv6() {
                std::future::pending::<()>().await;
            }
            Ok(address)
        });
        assert_eq!(winner.await.unwrap(), "1.0.0.1:1".parse().unwrap());
    }

    #[tokio::test]
    async fn a_failure_starts_the_next_attempt_at_once() {
        let tried = Mutex::new(Vec::new());
        let list = addresses(&["[::1]:1", "1.0.0.1:1"]);
        let hour = Duration::from_secs(3_600);
        let error = happy_eyeballs(list.clone(), hour, |address| {
            tried.lock().unwrap().push(address);
            let kind = if address.is_ipv6() {
                io::ErrorKind::ConnectionRefused
            } else {
                io::ErrorKind::NetworkUnreachable
            };
            async move { Err::<(), _>(io::Error::from(kind)) }
        });
        let error = error.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(*tried.lock().unwrap(), list);
    }
}
