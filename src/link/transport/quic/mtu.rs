//! Waits for path MTU discovery (RFC 8899) before a link is announced.
//!
//! Sessions take their packet size from the links that are there when they open. A link announced
//! with QUIC's smallest packet would hold them at 1,200 bytes for life, which costs 15 percent.

use std::time::Duration;

use tokio::time::sleep;

use super::Connection;
use crate::clock;

/// How often the value is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A probe that passed is acknowledged within a round trip and QUIC's 25 ms of acknowledgement
/// delay; a value that stood for twice that is final.
const ACK_DELAY: Duration = Duration::from_millis(25);

/// A link is announced after this much waiting, whatever is known; the value follows later. On a path
/// whose round trip is that long nothing would be known by then: there nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns the path MTU once it has come to rest, or the connection has ended, or patience has.
pub(super) async fn settled(connection: &Connection) -> u16 {
    let started = clock::now();
    let current = || connection.mtu();
    let (mut mtu, mut since) = (current(), started);
    if connection.rtt() >= PATIENCE {
        return mtu;
    }
    while connection.end().is_none() && clock::since(started) < PATIENCE {
        if clock::since(since) >= 2 * (connection.rtt() + ACK_DELAY) {
            break;
        }
        sleep(LOOK).await;
        if current() != mtu {
            (mtu, since) = (current(), clock::now());
        }
    }
    mtu
}
