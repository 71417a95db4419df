//! Runs of packets on their way from the receive loop to a local endpoint.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use quinn_udp::EcnCodepoint;

use super::buffer::Buffer;
use crate::identity::ShortId;
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

/// A bounded queue with one reader, fair by neighbour: each has a queue of its own, they take turns, and
/// where there is no room the longest loses. So a neighbour that floods loses its own packets.
pub struct Inbox {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the neighbour that deliveries came from; none is empty.
    queues: BTreeMap<ShortId, VecDeque<Delivery>>,
    /// Whose delivery is next: every neighbour that has a queue, once.
    turns: VecDeque<ShortId>,
    /// Deliveries in all queues.
    count: usize,
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

    /// Queues a delivery and wakes the reader. If there is no room, returns what was given up for it:
    /// itself, or the latest of the neighbour that has most.
    pub fn push(&self, delivery: Delivery) -> Option<Delivery> {
        let from = delivery.header().previous();
        let mut state = self.lock();
        let mut given_up = None;
        if state.count >= self.limit {
            let own = state.queues.get(&from).map_or(0, VecDeque::len);
            match state.longest() {
                Some((longest, length)) if length > own + 1 => {
                    given_up = state.drop_latest(longest);
                }
                Some(_) | None => return Some(delivery),
            }
        }
        state.add(from, delivery);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        given_up
    }

    /// The oldest delivery of the neighbour whose turn it is, or registers the reader to be woken.
    pub fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Delivery> {
        let mut state = self.lock();
        match state.next() {
            Some(delivery) => Poll::Ready(delivery),
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for a delivery.
    pub async fn pop(&self) -> Delivery {
        std::future::poll_fn(|cx| self.poll_pop(cx)).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}

impl State {
    fn add(&mut self, from: ShortId, delivery: Delivery) {
        let queue = self.queues.entry(from).or_default();
        if queue.is_empty() {
            self.turns.push_back(from);
        }
        queue.push_back(delivery);
        self.count += 1;
    }

    fn next(&mut self) -> Option<Delivery> {
        let from = self.turns.pop_front()?;
        let queue = self.queues.get_mut(&from)?;
        let delivery = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&from);
        } else {
            self.turns.push_back(from);
        }
        self.count -= 1;
        delivery
    }

    fn longest(&self) -> Option<(ShortId, usize)> {
        let queues = self.queues.iter();
        let longest = queues.max_by_key(|(_, queue)| queue.len());
        longest.map(|(from, queue)| (*from, queue.len()))
    }

    /// Of a queue that has more than one.
    fn drop_latest(&mut self, from: ShortId) -> Option<Delivery> {
        let latest = self.queues.get_mut(&from)?.pop_back();
        self.count -= usize::from(latest.is_some());
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::BufferPool;
    use crate::identity::AgentId;
    use crate::wire::packet::{PacketType, write_header};

    const LIMIT: usize = 8;

    /// One packet from a neighbour, with a number as its payload.
    fn delivery(neighbor: u8, number: u8) -> Delivery {
        let from = AgentId([neighbor; 16]).short();
        let own = AgentId([9; 16]).short();
        let mut packet = Vec::new();
        write_header(&mut packet, PacketType::ToExit, 7, from, &[own]);
        packet.push(number);
        let mut buffer = BufferPool::default().take();
        buffer[..packet.len()].copy_from_slice(&packet);
        Delivery {
            buffer,
            start: 0,
            end: packet.len(),
            stride: packet.len(),
            ecn: None,
        }
    }

    fn taken(inbox: &Inbox) -> Vec<(u8, u8)> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = Vec::new();
        while let Poll::Ready(delivery) = inbox.poll_pop(&mut cx) {
            let number = delivery.payloads().next().unwrap()[0];
            let from = delivery.header().previous();
            let neighbor = (1..9).find(|n| AgentId([*n; 16]).short() == from);
            taken.push((neighbor.unwrap(), number));
        }
        taken
    }

    #[test]
    fn deliveries_of_one_neighbour_stay_in_order() {
        let inbox = Inbox::new(LIMIT);
        for number in 0..10 {
            assert_eq!(inbox.push(delivery(1, number)).is_some(), number >= 8);
        }
        let expected: Vec<_> = (0..8).map(|number| (1, number)).collect();
        assert_eq!(taken(&inbox), expected);
        assert!(inbox.push(delivery(1, 0)).is_none(), "there is room again");
    }

    #[test]
    fn a_neighbour_that_floods_loses_its_own() {
        let inbox = Inbox::new(LIMIT);
        for number in 0..100 {
            inbox.push(delivery(1, number));
        }
        for number in 0..3 {
            let given_up = inbox.push(delivery(2, number)).unwrap();
            assert_eq!(given_up.header().previous(), AgentId([1; 16]).short());
        }
        assert!(inbox.push(delivery(1, 200)).is_some());
        let expected = [
            (1, 0),
            (2, 0),
            (1, 1),
            (2, 1),
            (1, 2),
            (2, 2),
            (1, 3),
            (1, 4),
        ];
        assert_eq!(taken(&inbox), expected);
    }

    #[test]
    fn many_neighbours_share_what_there_is() {
        let inbox = Inbox::new(LIMIT);
        for number in 0..20 {
            for neighbor in 1..=4 {
                inbox.push(delivery(neighbor, number));
            }
        }
        let taken = taken(&inbox);
        assert_eq!(taken.len(), LIMIT);
        for neighbor in 1..=4 {
            assert_eq!(
                taken.iter().filter(|(from, _)| *from == neighbor).count(),
                2
            );
        }
    }
}
