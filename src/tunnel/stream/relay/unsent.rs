//! What a kernel still has to send on a TCP connection. A reset throws it away, so it waits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

// The second is what the first is made of.
use nix::{getsockopt_impl, sockopt_impl};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::STALLED;
use crate::clock;

/// Time until the kernel is asked again, at first and at most: an acknowledgement takes a round trip,
/// and no event tells of the last one.
const SOON: Duration = Duration::from_millis(1);
const LATER: Duration = Duration::from_millis(50);

/// `struct tcp_info` up to `tcpi_notsent_bytes` (Linux 4.6), as numbers of 32 bits.
type TcpInfoHead = [u32; 37];

sockopt_impl!(
    /// The state of a TCP connection.
    TcpInfo,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    TcpInfoHead
);

/// Where `tcpi_unacked` (packets) and `tcpi_notsent_bytes` are in it.
const UNACKED: usize = 6;
const NOT_SENT: usize = 36;

/// Waits until everything that was written has arrived.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Bytes and packets that are left, as of the last look that found fewer, and when that was.
    left: Option<(u64, Instant)>,
    step: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Unsent {
    /// Ready when `tcp` has nothing left to send, or its peer has taken nothing for [`STALLED`].
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>, tcp: &TcpStream) -> Poll<()> {
        loop {
            if let Some(sleep) = &mut self.sleep
                && sleep.as_mut().poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            let (left, now) = (unsent(tcp), clock::now());
            if left == 0 {
                return Poll::Ready(());
            }
            match self.left {
                Some((least, at)) if left >= least => {
                    if now.saturating_duration_since(at) >= STALLED {
                        return Poll::Ready(());
                    }
                }
                Some(_) | None => self.left = Some((left, now)),
            }
            self.step = (self.step * 2).clamp(SOON, LATER);
            self.sleep = Some(Box::pin(sleep(self.step)));
        }
    }
}

/// 0 if everything has arrived, or the kernel cannot tell.
fn unsent(tcp: &TcpStream) -> u64 {
    let info = nix::sys::socket::getsockopt(tcp, TcpInfo);
    info.map_or(0, |info| {
        u64::from(info[UNACKED]) + u64::from(info[NOT_SENT])
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;
    use crate::tunnel::testing::{PATIENCE, tcp_pair};

    /// A socket that was full for so long stays full.
    const SETTLED: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn what_the_peer_does_not_take_is_waited_for_but_not_for_ever() {
        let (mut near, mut far) = tcp_pair().await;
        near.write_all(b"taken by the far kernel").await.unwrap();
        let mut unsent = Unsent::default();
        timeout(PATIENCE, poll_fn(|cx| unsent.poll_gone(cx, &near)))
            .await
            .unwrap();
        near.writable().await.unwrap();
        let mut sent = 0;
        while let Ok(written) = near.try_write(&[7; 65_536]) {
            sent += written;
        }
        let reading = async {
            let mut block = vec![0; 65_536];
            let mut got = 0;
            while got < sent + 23 {
                got += far.read(&mut block).await.unwrap();
            }
        };
        let mut unsent = Unsent::default();
        let gone = poll_fn(|cx| unsent.poll_gone(cx, &near));
        let (gone, ()) = tokio::join!(timeout(PATIENCE, gone), reading);
        gone.unwrap();
        // The kernels pass on more for a while after the first refusal.
        while timeout(SETTLED, near.writable()).await.is_ok() {
            while near.try_write(&[7; 65_536]).is_ok() {}
        }
        let mut unsent = Unsent::default();
        let started = clock::now();
        poll_fn(|cx| unsent.poll_gone(cx, &near)).await;
        assert!(clock::since(started) >= STALLED);
    }
}
