//! Copies bytes between a TCP connection and a tunnel stream, both directions in one task.
//!
//! ```text
//!            poll_outbound: read ──► pending ──► stream     FIN ──► finish     RST ──► reset + stop
//!   TCP ◄──►                                            ◄──►
//!            poll_inbound:  write ◄── backlog ◄── stream    finish ──► FIN    reset or stop ──► RST
//! ```
//!
//! The copy is a hand-written poll loop, because an idle connection must cost next to nothing: no
//! buffer is taken before bytes are there, chunk arrays live on the stack of one poll, and what an
//! idle connection never needs is allocated when it is needed. A side that cannot take more holds
//! at most one read (64 KiB outbound) or one batch of chunks (64 inbound) here; flow control stops
//! the other end, and no other stream notices.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::{Pin, pin};
use std::slice;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::ExitStream;
use super::streams::StreamGuard;

/// One read from TCP takes at most this much: what a socket buffer usually holds under bulk, and
/// few enough bytes that a round of a busy connection stays far below a millisecond.
const READ_BUFFER: usize = 64 * 1024;

/// Less room than this in the thread's read buffer and a new one is taken: reads stay large.
const MIN_READ: usize = 16 * 1024;

/// A read up to this size is copied into a buffer of its own size; otherwise a few bytes waiting
/// for their acknowledgement would keep 64 KiB alive.
const COPY_MAX: usize = 4 * 1024;

/// Chunks taken off a stream, and given to one vectored write, at once. About 85 KB of full
/// packets.
const CHUNKS: usize = 64;

/// Rounds that one direction may run before others get the thread.
const ROUNDS: usize = 8;

/// Silence until a TCP peer is probed, and the time between probes. With the kernel's nine probes a
/// vanished peer is found within five minutes, and an idle connection costs a packet a minute.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);

/// Application error code of a stream whose TCP connection was reset.
pub const TCP_RESET: VarInt = VarInt::from_u32(1);

/// How a relayed connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelayEnd {
    /// Both directions finished.
    Finished,
    /// The TCP connection was reset or failed; the stream was reset.
    TcpReset,
    /// The other agent reset the stream; the TCP connection was reset.
    StreamReset,
    /// The session under the stream ended; the TCP connection was reset.
    SessionLost,
}

thread_local! {
    /// The thread's read buffer: shared by all its connections, because it is used only inside one
    /// poll. Filled parts are split off and travel to quinn without a copy.
    static BUFFER: RefCell<BytesMut> = RefCell::default();
}

/// Relays until both directions ended, or either side was reset; then the other side is reset
/// too. Bytes are counted in `meter` as they are handed on.
pub async fn relay(tcp: TcpStream, stream: ExitStream, meter: &StreamGuard) -> RelayEnd {
    let mut relay = Relay {
        tcp: &tcp,
        send: stream.send,
        recv: stream.recv,
        meter,
        pending: Bytes::new(),
        backlog: VecDeque::new(),
        outbound_done: false,
        inbound_done: false,
        tcp_failed: None,
        stopped: None,
    };
    let end = poll_fn(|cx| relay.poll(cx)).await;
    relay.close(end);
    end
}

/// Prepares a proxied TCP connection: no delay for small writes, and probes that find a peer which
/// vanished without a word, so that it does not hold its place for ever.
pub fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY);
    SockRef::from(tcp).set_tcp_keepalive(&probes)
}

/// Makes dropping `tcp` send a RST instead of a FIN.
pub fn reset_on_drop(tcp: &TcpStream) {
    // Fails only on a socket that is gone already.
    let _ = tcp.set_zero_linger();
}

type Wait<'a> = Option<Pin<Box<dyn Future<Output = RelayEnd> + Send + 'a>>>;

struct Relay<'a> {
    tcp: &'a TcpStream,
    send: SendStream,
    recv: RecvStream,
    meter: &'a StreamGuard,
    /// Read from TCP, not yet taken by the stream.
    pending: Bytes,
    /// Read from the stream, not yet taken by TCP. Allocated only while TCP is full.
    backlog: VecDeque<Bytes>,
    outbound_done: bool,
    inbound_done: bool,
    /// Watches for a TCP error while nothing is read from TCP.
    tcp_failed: Wait<'a>,
    /// Watches for the peer's stop while nothing is written to the stream or read from it.
    stopped: Wait<'a>,
}

impl<'a> Relay<'a> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        if let Poll::Ready(Err(end)) = self.poll_inbound(cx) {
            return Poll::Ready(end);
        }
        if let Poll::Ready(Err(end)) = self.poll_outbound(cx) {
            return Poll::Ready(end);
        }
        if self.inbound_done && self.outbound_done {
            return Poll::Ready(RelayEnd::Finished);
        }
        if self.inbound_done
            && let Poll::Ready(end) = self.poll_stopped(cx)
        {
            return Poll::Ready(end);
        }
        if self.outbound_done || !self.pending.is_empty() {
            return self.poll_tcp_failed(cx);
        }
        Poll::Pending
    }

    /// TCP to stream.
    fn poll_outbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayEnd>> {
        if self.outbound_done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..ROUNDS {
            while !self.pending.is_empty() {
                let chunk = slice::from_mut(&mut self.pending);
                let written = ready!(pin!(self.send.write_chunks(chunk)).poll(cx));
                let written = written.map_err(|error| write_end(&error))?;
                self.meter.count_from_tcp(written.bytes as u64);
            }
            match ready!(self.poll_read(cx)) {
                Ok(bytes) if bytes.is_empty() => {
                    // Fails only if the stream was reset, which the other direction reports.
                    let _ = self.send.finish();
                    self.outbound_done = true;
                    return Poll::Ready(Ok(()));
                }
                Ok(bytes) => self.pending = bytes,
                Err(_) => return Poll::Ready(Err(RelayEnd::TcpReset)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Stream to TCP.
    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayEnd>> {
        if self.inbound_done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..ROUNDS {
            if !self.backlog.is_empty() {
                let backlog = self.backlog.make_contiguous();
                let (done, flow) = write_out(self.tcp, cx, backlog, self.meter);
                self.backlog.drain(..done);
                if flow.is_pending() {
                    return self.poll_reset(cx).map(Err);
                }
                ready!(flow)?;
                self.backlog = VecDeque::new();
            }
            let mut chunks = [const { Bytes::new() }; CHUNKS];
            let read = ready!(pin!(self.recv.read_chunks(&mut chunks)).poll(cx));
            match read {
                Ok(Some(count)) => {
                    let chunks = &mut chunks[..count];
                    let (done, flow) = write_out(self.tcp, cx, chunks, self.meter);
                    self.backlog
                        .extend(chunks[done..].iter_mut().map(std::mem::take));
                    if let Poll::Ready(result) = flow {
                        result?;
                    }
                }
                Ok(None) => {
                    // Fails only if TCP is gone, which the other direction reports.
                    let _ = SockRef::from(self.tcp).shutdown(Shutdown::Write);
                    self.inbound_done = true;
                    return Poll::Ready(Ok(()));
                }
                Err(error) => return Poll::Ready(Err(read_end(&error))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads what TCP has, at most [`READ_BUFFER`]; empty at its end.
    fn poll_read(&self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            ready!(self.tcp.poll_read_ready(cx))?;
            let read: io::Result<Bytes> = BUFFER.with_borrow_mut(|buffer| {
                if buffer.capacity() < MIN_READ {
                    buffer.reserve(READ_BUFFER);
                }
                let read = self.tcp.try_read_buf(buffer)?;
                if read > COPY_MAX {
                    return Ok(buffer.split().freeze());
                }
                let bytes = Bytes::copy_from_slice(buffer);
                buffer.clear();
                Ok(bytes)
            });
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Ready when the stream was reset although we do not read it now.
    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        match ready!(pin!(self.recv.received_reset()).poll(cx)) {
            Ok(Some(_)) => Poll::Ready(RelayEnd::StreamReset),
            // Everything arrived: the backlog is the rest, and only TCP can wake us.
            Ok(None) => Poll::Pending,
            Err(_) => Poll::Ready(RelayEnd::SessionLost),
        }
    }

    fn poll_tcp_failed(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        let tcp = self.tcp;
        let wait = self.tcp_failed.get_or_insert_with(|| {
            Box::pin(async move {
                // An error of the wait itself is a failed socket too.
                let _ = tcp.ready(Interest::ERROR).await;
                RelayEnd::TcpReset
            })
        });
        wait.as_mut().poll(cx)
    }

    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
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
        wait.as_mut().poll(cx)
    }

    /// Passes the end on to whichever side does not know it yet.
    fn close(&mut self, end: RelayEnd) {
        match end {
            RelayEnd::Finished => {}
            RelayEnd::TcpReset | RelayEnd::StreamReset | RelayEnd::SessionLost => {
                reset_on_drop(self.tcp);
                // Both fail only if that half ended already. A half that was finished is left
                // alone: what it carries was accepted before the reset.
                if !self.outbound_done {
                    let _ = self.send.reset(TCP_RESET);
                }
                let _ = self.recv.stop(TCP_RESET);
            }
        }
    }
}

/// Writes `chunks` to TCP. Returns how many are done (a partly written one is advanced), and
/// whether TCP is full (`Pending`), failed, or took everything.
fn write_out(
    tcp: &TcpStream,
    cx: &mut Context<'_>,
    chunks: &mut [Bytes],
    meter: &StreamGuard,
) -> (usize, Poll<Result<(), RelayEnd>>) {
    let mut done = 0;
    while done < chunks.len() {
        match tcp.poll_write_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return (done, Poll::Ready(Err(RelayEnd::TcpReset))),
            Poll::Pending => return (done, Poll::Pending),
        }
        let rest = &mut chunks[done..];
        let mut slices = [IoSlice::new(&[]); CHUNKS];
        for (slice, chunk) in slices.iter_mut().zip(rest.iter()) {
            *slice = IoSlice::new(chunk);
        }
        let filled = rest.len().min(CHUNKS);
        match tcp.try_write_vectored(&slices[..filled]) {
            Ok(written) => {
                meter.count_to_tcp(written as u64);
                done += advance(rest, written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return (done, Poll::Ready(Err(RelayEnd::TcpReset))),
        }
    }
    (done, Poll::Ready(Ok(())))
}

/// Takes `written` bytes off the front of `chunks`; returns how many chunks are used up.
fn advance(chunks: &mut [Bytes], mut written: usize) -> usize {
    for (index, chunk) in chunks.iter_mut().enumerate() {
        if written < chunk.len() {
            chunk.advance(written);
            return index;
        }
        written -= chunk.len();
        // Frees the packet that it points into.
        *chunk = Bytes::new();
    }
    chunks.len()
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

#[cfg(test)]
mod tests;
