//! The opening of a link: version, features, epoch and the first tokens.

use std::time::Duration;

use tokio::time::timeout;

use super::control::{ControlError, ControlReader, write};
use super::transport::{Connection, End, RecvControl, SendControl, StreamError};
use crate::wire::bounds::is_name;
use crate::wire::{ControlMessage, Hello, Token};

/// The protocol that this build speaks.
pub const VERSION: u16 = 1;

/// Feature bits that this build offers. None is defined yet; unknown ones are ignored.
pub const FEATURES: u64 = 0;

/// In `Hello.features`: not an offer but a statement. The sender stood still until a moment ago, so a link
/// that died meanwhile died of that and is no flap.
pub(super) const STOOD_STILL: u64 = 1;

/// Why a prober hangs up: the peer knows by it that nothing went wrong.
pub(super) const CHECKED: &str = "checked";

/// Heartbeats that a neighbour may have, milliseconds: the bounds of `connections.heartbeat`. A
/// longer one would keep a dead link up.
const HEARTBEATS: std::ops::RangeInclusive<u32> = 20..=10_000;

/// Why a link's opening failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelloError {
    #[error("{}", .0.describe())]
    Connection(#[from] End),
    #[error("cannot write: {0}")]
    Write(String),
    #[error("{0}")]
    Control(String),
    #[error("expected {expected}, got another message")]
    Unexpected { expected: &'static str },
    #[error(
        "the neighbour speaks protocol version {0}, this agent {VERSION}: run the same release"
    )]
    Version(u16),
    #[error("the neighbour's heartbeat of {0} ms is outside 20 ms to 10 s")]
    Heartbeat(u32),
    #[error("the neighbour's display name is over 64 bytes or holds control characters")]
    Name,
    #[error("no hello within {0:?}")]
    TimedOut(Duration),
}

impl HelloError {
    /// The dialling side only wanted to know whether a link would come about.
    pub(super) fn is_check(&self) -> bool {
        matches!(self, Self::Connection(End::Closed { reason, .. }) if reason == CHECKED)
    }
}

impl From<StreamError> for HelloError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Lost(end) => Self::Connection(end),
            StreamError::Broken(why) => Self::Write(why),
        }
    }
}

impl From<ControlError> for HelloError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Read(StreamError::Lost(end)) => Self::Connection(end),
            ControlError::Read(_) | ControlError::Frame(_) | ControlError::Ended => {
                Self::Control(error.to_string())
            }
        }
    }
}

/// An opened link.
pub(super) struct Greeting {
    pub(super) hello: Hello,
    /// What the neighbour wants on our packets.
    pub(super) token_out: u64,
    pub(super) send: SendControl,
    pub(super) recv: ControlReader,
}

/// What we say first.
pub(super) struct Introduction<'a> {
    pub(super) hello: &'a Hello,
    /// What we want on the neighbour's packets.
    pub(super) token_in: u64,
    pub(super) message_limit: usize,
    pub(super) within: Duration,
}

/// Exchanges hello and tokens as the side that dialled.
pub(super) async fn open(
    connection: &Connection,
    own: Introduction<'_>,
) -> Result<Greeting, HelloError> {
    bounded(own.within, async {
        let (send, recv) = connection.open_control().await?;
        exchange(send, recv, &own).await
    })
    .await
}

/// Exchanges hello and tokens as the side that was dialled.
pub(super) async fn answer(
    connection: &Connection,
    own: Introduction<'_>,
) -> Result<Greeting, HelloError> {
    bounded(own.within, async {
        let (send, recv) = connection.accept_control().await?;
        exchange(send, recv, &own).await
    })
    .await
}

/// Hears the neighbour's hello without saying one, as the side that dialled.
pub(super) async fn overhear(
    connection: &Connection,
    message_limit: usize,
    within: Duration,
) -> Result<Hello, HelloError> {
    bounded(within, async {
        let (mut send, recv) = connection.open_control().await?;
        // The neighbour learns of the stream by its first byte: of a frame that never ends.
        send.write_all(&[0]).await?;
        hello(&mut ControlReader::new(recv, message_limit)).await
    })
    .await
}

async fn bounded<T>(
    within: Duration,
    opening: impl Future<Output = Result<T, HelloError>>,
) -> Result<T, HelloError> {
    timeout(within, opening)
        .await
        .map_err(|_| HelloError::TimedOut(within))?
}

async fn exchange(
    mut send: SendControl,
    recv: RecvControl,
    own: &Introduction<'_>,
) -> Result<Greeting, HelloError> {
    write(&mut send, &ControlMessage::Hello(own.hello.clone())).await?;
    let token = Token {
        token: own.token_in,
    };
    write(&mut send, &ControlMessage::Token(token)).await?;
    let mut recv = ControlReader::new(recv, own.message_limit);
    let hello = hello(&mut recv).await?;
    if !HEARTBEATS.contains(&hello.heartbeat_ms) {
        return Err(HelloError::Heartbeat(hello.heartbeat_ms));
    }
    let ControlMessage::Token(token) = recv.next().await? else {
        return Err(HelloError::Unexpected { expected: "token" });
    };
    Ok(Greeting {
        hello,
        token_out: token.token,
        send,
        recv,
    })
}

async fn hello(recv: &mut ControlReader) -> Result<Hello, HelloError> {
    let ControlMessage::Hello(hello) = recv.next().await? else {
        return Err(HelloError::Unexpected { expected: "hello" });
    };
    check(&hello)?;
    Ok(hello)
}

fn check(hello: &Hello) -> Result<(), HelloError> {
    if hello.version != VERSION {
        return Err(HelloError::Version(hello.version));
    }
    if !is_name(&hello.display_name) {
        return Err(HelloError::Name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: u16, name: &str) -> Hello {
        Hello {
            version,
            features: FEATURES,
            epoch: 1,
            display_name: name.to_owned(),
            heartbeat_ms: 100,
            cost: 1,
            time_ms: None,
        }
    }

    #[test]
    fn only_this_version_and_printable_names_are_taken() {
        assert!(check(&hello(VERSION, "transit-1")).is_ok());
        let other = check(&hello(VERSION + 1, "transit-1"));
        assert!(matches!(other, Err(HelloError::Version(_))));
        for name in ["\u{1b}[2J", "a\nb", &"x".repeat(65)] {
            let refused = check(&hello(VERSION, name));
            assert!(matches!(refused, Err(HelloError::Name)), "{name:?}");
        }
    }
}
