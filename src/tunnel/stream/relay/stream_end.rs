//! The end of a relay that is a tunnel stream.

use std::future::Future;
use std::pin::{Pin, pin};
use std::slice;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};

use super::RelayEnd;
use super::end::{End, Fill, Put, Trouble};
use crate::clock;
use crate::tunnel::ExitStream;
use crate::tunnel::stream::notes::StreamNotes;
use crate::tunnel::stream::urgency::Urgency;

/// Chunks taken off a stream at once. About 85 KB of full packets.
const CHUNKS: usize = 64;

/// Application error code of a stream whose TCP connection was reset.
pub const TCP_RESET: VarInt = VarInt::from_u32(1);

pub(super) struct StreamEnd {
    send: SendStream,
    recv: RecvStream,
    notes: StreamNotes,
    /// Bytes written, read, and handed on.
    sent: u64,
    received: u64,
    delivered: u64,
    urgency: Urgency,
    sending: Sending,
    /// Watches for the other agent's stop while nothing is written to the stream or read from it.
    stopped: Option<Pin<Box<dyn Future<Output = RelayEnd> + Send>>>,
    /// What it found.
    gone: Option<RelayEnd>,
}

/// How what we send ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Open,
    Finished,
    /// By a reset that the other agent delivers after what was sent.
    ResetTold,
}

impl StreamEnd {
    pub(super) fn new(stream: ExitStream) -> Self {
        let now = clock::now();
        let turns = stream.notes.turns(now).clone();
        Self {
            send: stream.send,
            recv: stream.recv,
            notes: stream.notes,
            sent: 0,
            received: 0,
            delivered: 0,
            urgency: Urgency::new(now, turns),
            sending: Sending::Open,
            stopped: None,
            gone: None,
        }
    }

    /// After an abort: ready when the other agent has delivered what came before the reset.
    pub(super) fn poll_delivered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.sending {
            Sending::ResetTold => self.poll_stopped(cx).map(drop),
            Sending::Open | Sending::Finished => Poll::Ready(()),
        }
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        if let Some(gone) = self.gone {
            return Poll::Ready(gone);
        }
        let send = &self.send;
        let wait = self.stopped.get_or_insert_with(|| {
            let stopped = send.stopped();
            Box::pin(async move {
                match stopped.await {
                    Ok(_) => RelayEnd::StreamReset,
                    Err(_) => RelayEnd::SessionLost,
                }
            })
        });
        let gone = ready!(wait.as_mut().poll(cx));
        self.gone = Some(gone);
        Poll::Ready(gone)
    }
}

impl End for StreamEnd {
    type Batch = [Bytes; CHUNKS];

    fn batch() -> Self::Batch {
        [const { Bytes::new() }; CHUNKS]
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, batch: &mut [Bytes]) -> Poll<Fill> {
        let read = pin!(self.recv.read_chunks(&mut *batch)).poll(cx);
        if let Poll::Ready(read) = read {
            return Poll::Ready(match read {
                Ok(Some(count)) => {
                    let bytes = batch[..count].iter().map(Bytes::len).sum::<usize>();
                    self.received += bytes as u64;
                    Fill::Bytes(count)
                }
                Ok(None) => Fill::Eof,
                Err(error) => Fill::Broken(read_end(&error)),
            });
        }
        match self.notes.reset_at(cx) {
            Some(at) if self.received >= at => Poll::Ready(Fill::Broken(RelayEnd::StreamReset)),
            Some(_) | None => Poll::Pending,
        }
    }

    fn delivered(&mut self, bytes: usize) {
        self.delivered += bytes as u64;
        self.notes.took(self.delivered);
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayEnd>> {
        match self.notes.room(cx) {
            // Nobody writes, which would tell of the other agent's stop.
            0 => self.poll_stopped(cx).map(Err),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_put(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Put {
        let (mut done, mut bytes) = (0, 0);
        let flow = loop {
            let Some(chunk) = chunks.get_mut(done) else {
                break Poll::Ready(Ok(()));
            };
            let room = self.notes.room(cx);
            if room == 0 {
                break self.poll_stopped(cx).map(Err);
            }
            let written = match poll_write(&mut self.send, cx, chunk, room) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(write_end(&error))),
                Poll::Ready(Ok(written)) => written,
            };
            self.notes.sent(written);
            self.sent += written as u64;
            bytes += written;
            done += usize::from(chunk.is_empty());
        };
        if bytes > 0 {
            let now = clock::now();
            self.notes.turns(now);
            self.urgency.handle_written(now, bytes, &self.send);
        }
        Put { done, bytes, flow }
    }

    fn finish(&mut self) {
        // Fails only if the stream was stopped, which the other direction tells.
        let _ = self.send.finish();
        self.sending = Sending::Finished;
    }

    fn stop(&mut self) {
        // Fails only if it has ended.
        let _ = self.recv.stop(TCP_RESET);
    }

    fn poll_trouble(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        match pin!(self.recv.received_reset()).poll(cx) {
            Poll::Ready(Ok(Some(_))) => {
                return Poll::Ready(Trouble::Broken(RelayEnd::StreamReset));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Trouble::Broken(RelayEnd::SessionLost)),
            // Everything arrived: what is read and not delivered is the rest.
            Poll::Ready(Ok(None)) | Poll::Pending => {}
        }
        match self.notes.reset_at(cx) {
            Some(_) => Poll::Ready(Trouble::Ending(RelayEnd::StreamReset)),
            None => Poll::Pending,
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        self.poll_stopped(cx)
    }

    fn poll_abort(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        if self.sending == Sending::Open && self.notes.tell_reset(self.sent) {
            self.sending = Sending::ResetTold;
        }
        self.stop();
        Poll::Ready(())
    }

    fn settle(&mut self) {
        // Dropping streams that have ended does nothing to them.
    }
}

impl Drop for StreamEnd {
    fn drop(&mut self) {
        // A half that was finished is left alone: what it carries was accepted before. All others
        // would be finished by being dropped, as if they were whole.
        if self.sending != Sending::Finished {
            let _ = self.send.reset(TCP_RESET);
        }
        self.stop();
    }
}

/// Writes the front of `chunk`, `room` bytes at most, and takes off what was written.
fn poll_write(
    send: &mut SendStream,
    cx: &mut Context<'_>,
    chunk: &mut Bytes,
    room: usize,
) -> Poll<Result<usize, WriteError>> {
    if chunk.len() <= room {
        let written = ready!(pin!(send.write_chunks(slice::from_mut(chunk))).poll(cx))?;
        return Poll::Ready(Ok(written.bytes));
    }
    let written = ready!(pin!(send.write(&chunk[..room])).poll(cx))?;
    chunk.advance(written);
    Poll::Ready(Ok(written))
}

fn write_end(error: &WriteError) -> RelayEnd {
    match error {
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            RelayEnd::StreamReset
        }
        WriteError::ConnectionLost(_) => RelayEnd::SessionLost,
    }
}

fn read_end(error: &ReadError) -> RelayEnd {
    match error {
        ReadError::Reset(_)
        | ReadError::ClosedStream
        | ReadError::IllegalOrderedRead
        | ReadError::ZeroRttRejected => RelayEnd::StreamReset,
        ReadError::ConnectionLost(_) => RelayEnd::SessionLost,
    }
}
