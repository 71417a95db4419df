//! A session of a member with an exit, on which it opens and resets streams as it likes.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, VarInt};
use tokio::runtime::Handle;
use warren::identity::SERVER_NAME;
use warren::wire::{STREAM_MESSAGE_LIMIT, decode_frame, encode_frame};

use crate::wire::{self, FAR};

/// A handshake that takes longer will not come about.
const PATIENCE: Duration = Duration::from_secs(10);

/// An exit forgets the way of a handshake after 10 s; whoever answers no probes says it again.
const REMIND: Duration = Duration::from_secs(3);

/// What a packet that opens a connection begins with (RFC 9000 section 17.2.2): two ids of one byte.
const INITIAL: [u8; 9] = [0xc0, 0, 0, 0, 1, 1, 7, 1, 7];

/// An open session; it ends when dropped.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    socket: Arc<wire::Session>,
    runtime: Handle,
}

impl Session {
    /// Shakes hands from `endpoint`, whose `socket` that is.
    pub(crate) fn open(
        runtime: Handle,
        endpoint: &Endpoint,
        socket: Arc<wire::Session>,
        tls: Arc<rustls::ClientConfig>,
    ) -> Result<Self, String> {
        let connection = runtime.block_on(async {
            let crypto = Arc::new(QuicClientConfig::try_from(tls).expect("TLS that QUIC takes"));
            let connecting = endpoint.connect_with(ClientConfig::new(crypto), FAR, SERVER_NAME);
            let connecting = connecting.expect("an address");
            let shaken = tokio::time::timeout(PATIENCE, connecting).await;
            let connection = shaken.map_err(|_| "no handshake in time".to_owned())?;
            connection.map_err(|error| error.to_string())
        })?;
        runtime.spawn(remind(connection.clone(), socket.clone()));
        Ok(Self {
            connection,
            socket,
            runtime,
        })
    }

    /// A stream that says this. Fails when the session has ended, or has no room for one within a
    /// second.
    pub(crate) fn say(
        &self,
        message: &impl minicbor::Encode<()>,
    ) -> Result<(SendStream, RecvStream), String> {
        let mut frame = Vec::new();
        encode_frame(message, &mut frame);
        self.say_bytes(&frame)
    }

    /// As [`say`](Self::say), with any bytes.
    pub(crate) fn say_bytes(&self, bytes: &[u8]) -> Result<(SendStream, RecvStream), String> {
        self.runtime.block_on(async {
            let opened = tokio::time::timeout(Duration::from_secs(1), self.connection.open_bi());
            let opened = opened
                .await
                .map_err(|_| "no room for a stream".to_owned())?;
            let (mut send, recv) = opened.map_err(|error| error.to_string())?;
            let said = send.write_all(bytes).await;
            said.map_err(|error| error.to_string())?;
            Ok((send, recv))
        })
    }

    /// Says this on a stream and resets it at once.
    pub(crate) fn say_and_reset(&self, message: &impl minicbor::Encode<()>) -> bool {
        let Ok((mut send, mut recv)) = self.say(message) else {
            return false;
        };
        let reset = send.reset(VarInt::from_u32(1));
        reset.is_ok() && recv.stop(VarInt::from_u32(1)).is_ok()
    }

    /// The first byte that comes on a stream, within the patience of a handshake.
    pub(crate) fn answer(&self, recv: &mut RecvStream) -> Option<Vec<u8>> {
        self.runtime.block_on(async {
            let read = tokio::time::timeout(PATIENCE, recv.read_chunk(1_024, true)).await;
            Some(read.ok()?.ok()??.bytes.to_vec())
        })
    }

    /// The message that comes on a stream, within the patience of a handshake; `None`: it was reset.
    pub(crate) fn hear<T>(&self, recv: &mut RecvStream) -> Option<T>
    where
        T: for<'b> minicbor::Decode<'b, ()>,
    {
        let mut buffer = BytesMut::new();
        loop {
            buffer.extend_from_slice(&self.answer(recv)?);
            if let Some(message) = decode_frame(&mut buffer, STREAM_MESSAGE_LIMIT).ok()? {
                return Some(message);
            }
        }
    }

    /// Writes what there is room for, until there has been none for a moment; how many bytes.
    pub(crate) fn fill(&self, send: &mut SendStream) -> u64 {
        let block = vec![0; 64 * 1024];
        self.runtime.block_on(async {
            let mut total = 0;
            while let Ok(Ok(written)) =
                tokio::time::timeout(Duration::from_millis(5), send.write(&block)).await
            {
                total += written as u64;
            }
            total
        })
    }

    /// Takes no data any more, and acknowledges none; nor do other sessions of this member.
    pub(crate) fn stop_hearing(&self) {
        self.socket.stop_hearing();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}

/// Keeps the way back known, by packets that begin like a handshake's.
async fn remind(connection: Connection, socket: Arc<wire::Session>) {
    while connection.close_reason().is_none() {
        tokio::time::sleep(REMIND).await;
        socket.send(&INITIAL);
    }
}
