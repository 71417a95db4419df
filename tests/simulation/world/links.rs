//! Links: they come up, carry control messages in order, and are lost.

use warren::identity::AgentId;
use warren::routing::{LinkMetrics, LinkUp};
use warren::wire::{ControlMessage, decode_frame, encode_frame};

use super::{Event, World};

/// One link and what each end believes of it.
pub(crate) struct Link {
    pub(crate) ends: [usize; 2],
    pub(crate) cost: u32,
    pub(crate) works: bool,
    pub(crate) delay_us: u64,
    pub(super) session: u64,
    /// What each end believes.
    pub(super) up: [bool; 2],
    /// Nothing overtakes on a link.
    pub(super) last_arrival: [u64; 2],
}

/// Control messages sent, and their bytes at most (`wire_bytes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) floods: u64,
    pub(crate) flood_bytes: u64,
    /// Digests, summaries, requests.
    pub(crate) sync: u64,
    pub(crate) sync_bytes: u64,
}

impl Traffic {
    pub(crate) fn messages(self) -> u64 {
        self.floods + self.sync
    }

    /// What was sent since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            floods: self.floods - earlier.floods,
            flood_bytes: self.flood_bytes - earlier.flood_bytes,
            sync: self.sync - earlier.sync,
            sync_bytes: self.sync_bytes - earlier.sync_bytes,
        }
    }

    fn count(&mut self, message: &ControlMessage) {
        let bytes = message.wire_bytes() as u64;
        if matches!(message, ControlMessage::Flood(_)) {
            self.floods += 1;
            self.flood_bytes += bytes;
        } else {
            self.sync += 1;
            self.sync_bytes += bytes;
        }
    }
}

impl World {
    pub(super) fn establish_soon(&mut self, link: usize) {
        let after = self.rng.within(1_000..400_000);
        self.push(after, Event::Establish { link });
    }

    pub(super) fn establish(&mut self, index: usize) {
        let link = &self.links[index];
        if !link.works || link.ends.iter().any(|end| !self.is_alive(*end)) || link.up == [true; 2] {
            return;
        }
        if link.up != [false; 2] {
            return self.establish_soon(index);
        }
        let (ends, cost) = (link.ends, link.cost);
        self.links[index].session += 1;
        self.links[index].up = [true; 2];
        self.last_link_up_us = self.now_us;
        for end in 0..2 {
            let link_up = LinkUp {
                neighbor: self.agents[ends[1 - end]].id,
                metrics: LinkMetrics {
                    cost,
                    rtt_us: self.links[index].delay_us * 2,
                    mtu: 1_400,
                },
                peer_epoch: self.agents[ends[1 - end]].epoch,
            };
            self.tell(ends[end], |core, now| core.handle_link_up(now, link_up));
        }
    }

    /// Each end notices by itself, after [`World::detection_us`].
    pub(super) fn notice_loss(&mut self, link: usize) {
        let session = self.links[link].session;
        for end in 0..2 {
            let after = self.rng.within(self.detection_us.clone());
            self.push(after, Event::Notice { link, session, end });
        }
    }

    pub(super) fn lose(&mut self, index: usize, end: usize) {
        let link = &mut self.links[index];
        if std::mem::replace(&mut link.up[end], false) {
            let (agent, other) = (link.ends[end], link.ends[1 - end]);
            let neighbor = self.agents[other].id;
            self.tell(agent, |core, now| core.handle_link_down(now, neighbor));
        }
        if self.links[index].works {
            self.establish_soon(index);
        }
    }

    /// The neighbour saw a bad signature: its end of the link goes down, and stays so.
    pub(super) fn convict(&mut self, judge: usize, convict: AgentId) {
        let Some(index) = self.link_to(judge, convict) else {
            return;
        };
        self.links[index].works = false;
        self.notice_loss(index);
    }

    pub(super) fn send(&mut self, agent: usize, to: AgentId, message: ControlMessage) {
        let limit = self.settings.limits.control_message / 2 + 64;
        assert!(message.wire_bytes() <= limit, "message is within bounds");
        let message = if self.codec { recode(message) } else { message };
        let message = match &mut self.tamper {
            Some(tamper) => match tamper(agent, message) {
                Some(message) => message,
                None => return,
            },
            None => message,
        };
        let Some(index) = self.link_to(agent, to) else {
            return;
        };
        self.sent.count(&message);
        if self.rng.chance(self.loss) {
            return;
        }
        let jitter = self.rng.within(0..2_000);
        let link = &mut self.links[index];
        let end = usize::from(link.ends[0] == agent);
        let arrival = (self.now_us + link.delay_us + jitter).max(link.last_arrival[end]);
        link.last_arrival[end] = arrival;
        let session = link.session;
        self.push(
            arrival - self.now_us,
            Event::Arrive {
                link: index,
                session,
                end,
                message,
            },
        );
    }

    /// The link over which `agent` reaches its neighbour `to`.
    fn link_to(&self, agent: usize, to: AgentId) -> Option<usize> {
        self.of_agent[agent].iter().copied().find(|index| {
            let link = &self.links[*index];
            let end = usize::from(link.ends[1] == agent);
            link.up[end] && self.agents[link.ends[1 - end]].id == to
        })
    }
}

fn recode(message: ControlMessage) -> ControlMessage {
    let mut frame = Vec::new();
    encode_frame(&message, &mut frame);
    assert!(
        frame.len() <= message.wire_bytes() + 4,
        "the size estimate is an upper bound: {} of {message:?}",
        frame.len()
    );
    let mut input = bytes::BytesMut::from(&frame[..]);
    let back = decode_frame(&mut input, 1 << 20).expect("own frames decode");
    back.expect("the frame is complete")
}
