//! Copies bytes between two ends of a proxied connection, both directions in one task: between a TCP
//! connection and a tunnel stream, or between two TCP connections where an agent is its own exit.
//!
//! ```text
//!        ┌──── open ────┬── the source's end ──────────► finished: the sink got its end, too
//!        │   (bytes)    ├── the source was reset ──────► cut: after the last byte before it
//!        └──────────────┴── the sink takes no more ────► cut: nobody reads the source any more
//! ```
//!
//! A source that was reset has no other direction either. Of a sink that takes no more, what it had to
//! say before still passes: a server that answers and closes with a request unread has its answer
//! delivered. When neither direction is open and one is cut, both ends are reset, each after what was
//! sent to it has arrived (RFC 9293 section 3.10.7).
//!
//! The copy is a hand-written poll loop, because an idle connection must cost next to nothing: no
//! buffer is taken before bytes are there, chunk arrays live on the stack of one poll, and what an
//! idle connection never needs is allocated when it is needed. An end that cannot take more holds
//! at most one read (64 KiB of TCP) or one batch of chunks (64 of a stream) here; flow control stops
//! the other end, and no other stream notices.

mod end;
mod stream_end;
mod tcp_end;
mod unsent;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

use self::end::{End, Fill, Trouble};
use self::stream_end::StreamEnd;
use self::tcp_end::TcpEnd;
use super::notes::ExitStream;
use crate::record::StreamGuard;
use crate::task::{self, Served};

pub use self::stream_end::TCP_RESET;
pub use self::tcp_end::{reset_on_drop, tune};

/// Rounds that one direction may run before others get the thread.
const ROUNDS: usize = 8;

/// How long an end may take nothing while what is to be delivered to it is the rest before a reset:
/// longer than a session is without a path. A kernel would drop such a rest at once.
const STALLED: Duration = Duration::from_secs(5);

/// How long the other agent may take to deliver what came before a reset of ours: a stream's window over
/// a line of half a megabit a second.
const REST: Duration = Duration::from_secs(60);

/// How a relayed connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelayEnd {
    /// Both directions finished.
    Finished,
    /// A TCP connection was reset or failed; so was the other end.
    TcpReset,
    /// The other agent reset the stream; the TCP connection was reset.
    StreamReset,
    /// The session under the stream ended; the TCP connection was reset.
    SessionLost,
}

/// Relays until both directions ended, or either end was reset; then the other one is reset too, after
/// it has taken what came before. Bytes are counted in `meter`. Dropped earlier, both are reset at once.
pub async fn relay(tcp: TcpStream, stream: ExitStream, meter: &StreamGuard) -> RelayEnd {
    let (end, mut stream) = {
        let mut relay = Relay::new(TcpEnd::new(&tcp, Some(meter)), StreamEnd::new(stream));
        let end = poll_fn(|cx| relay.poll(cx)).await;
        (end, relay.b)
    };
    drop(tcp);
    if poll_fn(|cx| Poll::Ready(stream.poll_delivered(cx).is_pending())).await {
        // The connection has ended, and its place is free; dropped now, the stream is reset at once.
        task::serve(Served::Stream, async move {
            let _ = timeout(REST, poll_fn(|cx| stream.poll_delivered(cx))).await;
        });
    }
    end
}

/// The same between a client and a target that this agent dialled itself.
pub async fn relay_own(client: TcpStream, target: TcpStream, meter: &StreamGuard) -> RelayEnd {
    let mut relay = Relay::new(
        TcpEnd::new(&client, Some(meter)),
        TcpEnd::new(&target, None),
    );
    poll_fn(|cx| relay.poll(cx)).await
}

struct Relay<A, B> {
    a: A,
    b: B,
    /// From `a` to `b`.
    there: Direction,
    /// From `b` to `a`.
    back: Direction,
    /// Why a direction was cut.
    cause: Option<RelayEnd>,
}

#[derive(Default)]
struct Direction {
    course: Course,
    /// Read from the source, not yet taken by the sink. Allocated only while the sink is full.
    backlog: VecDeque<Bytes>,
    /// The source was or will be reset: when the sink must have taken more.
    deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Course {
    #[default]
    Open,
    Finished,
    Cut,
}

/// What one turn of a direction came to.
enum Turn {
    Waiting,
    Finished,
    /// The source is gone, and what came before was delivered, or can not be.
    Broken(RelayEnd),
    /// The sink takes no more.
    Gone(RelayEnd),
}

impl<A: End, B: End> Relay<A, B> {
    fn new(a: A, b: B) -> Self {
        Self {
            a,
            b,
            there: Direction::default(),
            back: Direction::default(),
            cause: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        loop {
            let before = (self.there.course, self.back.course);
            let Self { a, b, .. } = self;
            if let Some(cause) = step(a, b, &mut self.there, &mut self.back, cx) {
                self.cause.get_or_insert(cause);
            }
            if let Some(cause) = step(b, a, &mut self.back, &mut self.there, cx) {
                self.cause.get_or_insert(cause);
            }
            let after = (self.there.course, self.back.course);
            if after == (Course::Finished, Course::Finished) {
                self.a.settle();
                self.b.settle();
                return Poll::Ready(RelayEnd::Finished);
            }
            if after.0 != Course::Open && after.1 != Course::Open {
                return self.poll_abort(cx);
            }
            if after == before {
                return Poll::Pending;
            }
        }
    }

    fn poll_abort(&mut self, cx: &mut Context<'_>) -> Poll<RelayEnd> {
        let (a, b) = (self.a.poll_abort(cx), self.b.poll_abort(cx));
        if a.is_pending() || b.is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.cause.expect("a direction was cut for a cause"))
    }
}

/// Moves what can be moved from `x` to `y`, and looks after `y` if nothing is read from it. Returns why
/// a direction was cut, if one was.
fn step<X: End, Y: End>(
    x: &mut X,
    y: &mut Y,
    there: &mut Direction,
    back: &mut Direction,
    cx: &mut Context<'_>,
) -> Option<RelayEnd> {
    if there.course != Course::Open {
        return None;
    }
    let turn = match there.turn(x, y, cx) {
        // Reading it would tell.
        Turn::Waiting if back.course != Course::Open => match y.poll_gone(cx) {
            Poll::Ready(cause) => Turn::Gone(cause),
            Poll::Pending => Turn::Waiting,
        },
        turn => turn,
    };
    match turn {
        Turn::Waiting => None,
        Turn::Finished => {
            there.end(Course::Finished);
            None
        }
        Turn::Broken(cause) => {
            there.end(Course::Cut);
            if back.course == Course::Open {
                back.end(Course::Cut);
                y.stop();
            }
            Some(cause)
        }
        Turn::Gone(cause) => {
            there.end(Course::Cut);
            x.stop();
            Some(cause)
        }
    }
}

impl Direction {
    fn turn<X: End, Y: End>(&mut self, x: &mut X, y: &mut Y, cx: &mut Context<'_>) -> Turn {
        for _ in 0..ROUNDS {
            if !self.backlog.is_empty() {
                let put = y.poll_put(cx, self.backlog.make_contiguous());
                self.backlog.drain(..put.done);
                x.delivered(put.bytes);
                if put.bytes > 0 {
                    self.deadline = None;
                }
                match put.flow {
                    Poll::Pending => return self.blocked(x, cx),
                    Poll::Ready(Err(cause)) => return Turn::Gone(cause),
                    Poll::Ready(Ok(())) => self.backlog = VecDeque::new(),
                }
            }
            match y.poll_ready(cx) {
                Poll::Pending => return self.blocked(x, cx),
                Poll::Ready(Err(cause)) => return Turn::Gone(cause),
                Poll::Ready(Ok(())) => {}
            }
            let mut batch = X::batch();
            let batch = batch.as_mut();
            match x.poll_fill(cx, batch) {
                Poll::Pending => return Turn::Waiting,
                Poll::Ready(Fill::Eof) => {
                    y.finish();
                    return Turn::Finished;
                }
                Poll::Ready(Fill::Broken(cause)) => return Turn::Broken(cause),
                Poll::Ready(Fill::Bytes(count)) => {
                    let chunks = &mut batch[..count];
                    let put = y.poll_put(cx, chunks);
                    x.delivered(put.bytes);
                    let rest = chunks[put.done..].iter_mut();
                    self.backlog.extend(rest.map(std::mem::take));
                    if let Poll::Ready(Err(cause)) = put.flow {
                        return Turn::Gone(cause);
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Turn::Waiting
    }

    /// The sink is full: only its own trouble would be noticed.
    fn blocked<X: End>(&mut self, x: &mut X, cx: &mut Context<'_>) -> Turn {
        match x.poll_trouble(cx) {
            Poll::Pending => Turn::Waiting,
            Poll::Ready(Trouble::Broken(cause)) => Turn::Broken(cause),
            Poll::Ready(Trouble::Ending(cause)) => {
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::pin(sleep(STALLED)));
                match deadline.as_mut().poll(cx) {
                    Poll::Ready(()) => Turn::Broken(cause),
                    Poll::Pending => Turn::Waiting,
                }
            }
        }
    }

    fn end(&mut self, course: Course) {
        *self = Self {
            course,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests;
