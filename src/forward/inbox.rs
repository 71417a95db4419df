//! Runs of packets on their way from the receive loop to a local endpoint.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use quinn_udp::EcnCodepoint;

use super::buffer::Buffer;
use crate::wire::packet::Header;

/// Packets with equal headers, one after the other in one buffer.
pub struct Delivery {
    pub buffer: Buffer,
    /// Where the first packet starts.
    pub start: usize,
    /// Where the last packet ends.
    pub end: usize,
    /// Length of every packet but the last, which may be shorter. Headers included.
    pub stride: usize,
    pub ecn: Option<EcnCodepoint>,
}

/// A bounded queue with one reader.
pub struct Inbox {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Delivery>,
    reader: Option<Waker>,
}

impl Delivery {
    /// The header that all packets share.
    pub fn header(&self) -> Header<'_> {
        Header::parse(&self.buffer[self.start..self.end]).expect("parsed before it was delivered")
    }

    /// Each packet without its header.
    pub fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let header = self.header().header_len();
        self.buffer[self.start..self.end]
            .chunks(self.stride)
            .map(move |packet| &packet[header.min(packet.len())..])
    }

    /// The rest without its first `packets`; `None` if those are all.
    pub fn without(mut self, packets: usize) -> Option<Self> {
        self.start += packets * self.stride;
        (self.start < self.end).then_some(self)
    }
}

impl Inbox {
    /// A queue of at most `limit` deliveries.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::default(),
        }
    }

    /// Queues a delivery and wakes the reader; `false` if the queue is full.
    pub fn push(&self, delivery: Delivery) -> bool {
        let mut state = self.lock();
        if state.queue.len() >= self.limit {
            return false;
        }
        state.queue.push_back(delivery);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// The oldest delivery, or registers the reader to be woken.
    pub fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let mut state = self.lock();
        match state.queue.pop_front() {
            Some(delivery) => Poll::Ready(delivery),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the oldest delivery.
    pub async fn pop(&self) -> Delivery {
        std::future::poll_fn(|cx| self.poll_pop(cx)).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}
