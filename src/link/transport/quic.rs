//! Links over QUIC: one bidirectional stream for control, datagrams for heartbeats.

mod endpoint;
mod mtu;
mod window;

use std::time::Duration;

use bytes::Bytes;
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};

use super::{Dropped, End, StreamError};
use crate::forward::Remote;
use crate::identity::{Certificate, TrustError};
use crate::quic;

pub use endpoint::{DataPlane, LinkEndpoint};
pub(crate) use endpoint::{OwnPort, Visitor};

/// Bytes taken from the control stream at a time.
const CHUNK: usize = 64 * 1024;

/// A connection with a neighbour that has proved who it is. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Connection(quinn::Connection);

/// The sending half of the control stream.
#[derive(Debug)]
pub(crate) struct SendControl(SendStream);

/// The receiving half of the control stream.
#[derive(Debug)]
pub(crate) struct RecvControl(RecvStream);

impl Connection {
    /// Opens the control stream, as the side that dialled. The neighbour learns of it by its first byte.
    pub(crate) async fn open_control(&self) -> Result<(SendControl, RecvControl), End> {
        let (send, recv) = self.0.open_bi().await.map_err(End::from)?;
        Ok((SendControl(send), RecvControl(recv)))
    }

    /// Waits for the control stream, as the side that was dialled.
    pub(crate) async fn accept_control(&self) -> Result<(SendControl, RecvControl), End> {
        let (send, recv) = self.0.accept_bi().await.map_err(End::from)?;
        Ok((SendControl(send), RecvControl(recv)))
    }

    /// Sends a heartbeat, if it fits now.
    pub(crate) fn send_heartbeat(&self, payload: Vec<u8>) -> Result<(), Dropped> {
        let sent = self.0.send_datagram(payload.into());
        sent.map_err(|_| Dropped)
    }

    /// The neighbour's next heartbeat. Cancel safe.
    pub(crate) async fn heartbeat(&self) -> Result<Bytes, End> {
        self.0.read_datagram().await.map_err(End::from)
    }

    /// The longest heartbeat that fits, bytes.
    pub(crate) fn longest_heartbeat(&self) -> usize {
        self.0.max_datagram_size().unwrap_or(0)
    }

    /// What the neighbour's certificate says; it was verified before the connection existed.
    pub(crate) fn certificate(&self) -> Result<Certificate, TrustError> {
        quic::peer_certificate(&self.0)
    }

    /// Where the neighbour is now.
    pub(crate) fn remote(&self) -> Remote {
        Remote {
            address: self.0.remote_address(),
            source: self.0.local_ip(),
        }
    }

    /// The round trip, smoothed.
    pub(crate) fn rtt(&self) -> Duration {
        self.0.rtt()
    }

    /// The shortest round trip so far: no queue made it longer.
    pub(crate) fn min_rtt(&self) -> Duration {
        self.0.min_rtt()
    }

    /// Largest UDP payload known to pass, bytes.
    pub(crate) fn mtu(&self) -> u16 {
        self.0.stats().path.current_mtu
    }

    /// The same, once it has come to rest, or the connection has ended, or two seconds have passed.
    pub(crate) async fn settled_mtu(&self) -> u16 {
        mtu::settled(self).await
    }

    /// How it ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.0.close_reason().map(End::from)
    }

    /// Closes it with a code and a reason for people.
    pub(crate) fn close(&self, code: u32, why: &str) {
        self.0.close(VarInt::from_u32(code), why.as_bytes());
    }

    /// Waits until it has ended.
    #[cfg(test)]
    pub(crate) async fn closed(&self) -> End {
        self.0.closed().await.into()
    }
}

impl SendControl {
    /// Writes all of `bytes`, as fast as the neighbour takes them.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.write_all(bytes).await.map_err(StreamError::from)
    }

    /// Ends the stream and waits until the neighbour has all of it, or the connection has ended.
    pub(crate) async fn finish(mut self) {
        if self.0.finish().is_ok() {
            // The connection may end first; then nobody is left to wait for.
            let _ = self.0.stopped().await;
        }
    }
}

impl RecvControl {
    /// The bytes that come next; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, StreamError> {
        let chunk = self.0.read_chunk(CHUNK, true).await?;
        Ok(chunk.map(|chunk| chunk.bytes))
    }
}

impl From<ConnectionError> for End {
    fn from(error: ConnectionError) -> Self {
        if let Some(refusal) = quic::refusal(&error) {
            return Self::Refused(refusal);
        }
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Closed {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            ConnectionError::TimedOut => Self::TimedOut,
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(lost) => Self::Lost(lost.into()),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(lost) => Self::Lost(lost.into()),
            other => Self::Broken(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use quinn::ApplicationClose;

    use super::*;

    fn closed(code: u32, reason: &str) -> ConnectionError {
        ConnectionError::ApplicationClosed(ApplicationClose {
            error_code: VarInt::from_u32(code),
            reason: reason.to_owned().into(),
        })
    }

    #[test]
    fn an_end_reads_as_quic_tells_it() {
        for error in [
            closed(0, "see you"),
            closed(4, ""),
            ConnectionError::TimedOut,
            ConnectionError::Reset,
            ConnectionError::LocallyClosed,
        ] {
            let text = error.to_string();
            assert_eq!(End::from(error).to_string(), text);
        }
        let end = End::from(closed(3, "a\nb"));
        assert_eq!(end.describe(), "closed by peer: a\\nb (code 3)");
    }
}
