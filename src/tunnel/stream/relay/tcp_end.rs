//! The end of a relay that is a TCP connection.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::RelayEnd;
use super::end::{End, Fill, Put, Trouble};
use super::unsent::Unsent;
use crate::record::StreamGuard;

/// One read from TCP takes at most this much: what a socket buffer usually holds under bulk, and
/// few enough bytes that a round of a busy connection stays far below a millisecond.
const READ_BUFFER: usize = 64 * 1024;

/// Less room than this in the thread's read buffer and a new one is taken: reads stay large.
const MIN_READ: usize = 16 * 1024;

/// A read up to this size is copied into a buffer of its own size; otherwise a few bytes waiting
/// for their acknowledgement would keep 64 KiB alive.
const COPY_MAX: usize = 4 * 1024;

/// Chunks given to one vectored write.
const SLICES: usize = 64;

/// Silence until a TCP peer is probed, and the time between probes. With the kernel's nine probes a
/// vanished peer is found within five minutes, and an idle connection costs a packet a minute.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);

/// Bytes that the kernel takes for sending before it has sent what it took earlier. A reader that has
/// stopped makes it hold this and not its whole send buffer, megabytes on a fast path: with 1,000 of them
/// on one host its memory for TCP ran short (`tcp_mem`), and new connections took 216 ms instead of 3.
const UNSENT: u32 = 256 * 1024;

thread_local! {
    /// The thread's read buffer: shared by all its connections, because it is used only inside one
    /// poll. Filled parts are split off and travel to quinn without a copy.
    static BUFFER: RefCell<BytesMut> = RefCell::default();
}

/// Prepares a proxied TCP connection: no delay for small writes, and probes that find a peer which
/// vanished without a word, so that it does not hold its place for ever. A peer that stops reading
/// holds little of the kernel's memory.
pub fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT)?;
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

pub(super) struct TcpEnd<'a> {
    tcp: &'a TcpStream,
    meter: Option<&'a StreamGuard>,
    /// A write failed: it was reset. The kernel tells that once, and then lets its end look clean.
    failed: bool,
    settled: bool,
    /// Watches for an error while nothing is read.
    error: Option<Pin<Box<dyn FusedFuture<Output = ()> + Send + 'a>>>,
    /// Waits until the peer's kernel has everything, before a reset.
    unsent: Option<Box<Unsent>>,
}

impl<'a> TcpEnd<'a> {
    /// Bytes read from `tcp` and written to it count in `meter`.
    pub(super) fn new(tcp: &'a TcpStream, meter: Option<&'a StreamGuard>) -> Self {
        Self {
            tcp,
            meter,
            failed: false,
            settled: false,
            error: None,
            unsent: None,
        }
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

    fn poll_error(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let tcp = self.tcp;
        let wait = self.error.get_or_insert_with(|| {
            let wait = async move {
                // An error of the wait itself is a failed socket too.
                let _ = tcp.ready(Interest::ERROR).await;
            };
            Box::pin(wait.fuse())
        });
        match wait.is_terminated() {
            true => Poll::Ready(()),
            false => wait.as_mut().poll(cx),
        }
    }
}

impl End for TcpEnd<'_> {
    type Batch = [Bytes; 1];

    fn batch() -> Self::Batch {
        [Bytes::new()]
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, batch: &mut [Bytes]) -> Poll<Fill> {
        Poll::Ready(match ready!(self.poll_read(cx)) {
            Ok(bytes) if !bytes.is_empty() => {
                if let Some(meter) = self.meter {
                    meter.count_from_tcp(bytes.len() as u64);
                }
                batch[0] = bytes;
                Fill::Bytes(1)
            }
            Ok(_) if !self.failed => Fill::Eof,
            Ok(_) | Err(_) => Fill::Broken(RelayEnd::TcpReset),
        })
    }

    fn delivered(&mut self, _bytes: usize) {
        // Nobody asks.
    }

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), RelayEnd>> {
        Poll::Ready(Ok(()))
    }

    fn poll_put(&mut self, cx: &mut Context<'_>, chunks: &mut [Bytes]) -> Put {
        let (mut done, mut bytes) = (0, 0);
        let flow = loop {
            if done == chunks.len() {
                break Poll::Ready(Ok(()));
            }
            match self.tcp.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => break Poll::Ready(Err(RelayEnd::TcpReset)),
                Poll::Pending => break Poll::Pending,
            }
            let rest = &mut chunks[done..];
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, chunk) in slices.iter_mut().zip(rest.iter()) {
                *slice = IoSlice::new(chunk);
            }
            let filled = rest.len().min(SLICES);
            match self.tcp.try_write_vectored(&slices[..filled]) {
                Ok(written) => {
                    if let Some(meter) = self.meter {
                        meter.count_to_tcp(written as u64);
                    }
                    bytes += written;
                    done += advance(rest, written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break Poll::Ready(Err(RelayEnd::TcpReset)),
            }
        };
        self.failed |= matches!(flow, Poll::Ready(Err(_)));
        Put { done, bytes, flow }
    }

    fn finish(&mut self) {
        // Fails only if TCP is gone, which reading it tells.
        let _ = SockRef::from(self.tcp).shutdown(Shutdown::Write);
    }

    fn stop(&mut self) {
        // What is not read stops its sender.
    }

    fn poll_trouble(&mut self, cx: &mut Context<'_>) -> Poll<Trouble> {
        // The kernel keeps what came before the reset.
        self.poll_error(cx)
            .map(|()| Trouble::Ending(RelayEnd::TcpReset))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        self.poll_error(cx).map(|()| RelayEnd::TcpReset)
    }

    fn poll_abort(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unsent = self.unsent.get_or_insert_default();
        unsent.poll_gone(cx, self.tcp)
    }

    fn settle(&mut self) {
        self.settled = true;
    }
}

impl Drop for TcpEnd<'_> {
    fn drop(&mut self) {
        if !self.settled {
            reset_on_drop(self.tcp);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_advance_exactly() {
        let mut chunks = [
            Bytes::from_static(b"abc"),
            Bytes::new(),
            Bytes::from_static(b"defg"),
        ];
        assert_eq!(advance(&mut chunks, 0), 0);
        assert_eq!(advance(&mut chunks, 2), 0);
        assert_eq!(&chunks[0][..], b"c");
        assert_eq!(advance(&mut chunks, 2), 2);
        assert_eq!(&chunks[2][..], b"efg");
        assert_eq!(advance(&mut chunks[2..], 3), 1);
    }
}
