//! A world in virtual time: agents, links that carry control messages in order, and one queue of
//! events. Everything that happens is a function of the seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use warren::config::Limits;
use warren::identity::AgentId;
use warren::routing::{Alarm, Core, LinkMetrics, LinkUp, Now, Output, OwnRoutes, Settings};
use warren::wire::{ControlMessage, decode_frame, encode_frame};

use crate::authority::Fake;
use crate::rng::Rng;
use crate::topology::Edges;

/// Unix milliseconds at which every world begins.
const GENESIS_MS: u64 = 1_800_000_000_000;

pub(crate) struct Agent {
    pub(crate) id: AgentId,
    /// `None` while it is down.
    pub(crate) core: Option<Core<Fake>>,
    pub(crate) epoch: u64,
    pub(crate) routes: BTreeMap<IpNet, u32>,
    /// Milliseconds that its clock is ahead; negative: behind.
    pub(crate) clock_ms: i64,
    pub(crate) alarms: Vec<Alarm>,
    wake: Option<u64>,
}

pub(crate) struct Link {
    pub(crate) ends: [usize; 2],
    pub(crate) cost: u32,
    pub(crate) works: bool,
    delay_us: u64,
    session: u64,
    /// What each end believes.
    up: [bool; 2],
    /// Nothing overtakes on a link.
    last_arrival: [u64; 2],
}

enum Event {
    Arrive {
        link: usize,
        session: u64,
        end: usize,
        message: ControlMessage,
    },
    Wake {
        agent: usize,
    },
    Establish {
        link: usize,
    },
    Notice {
        link: usize,
        session: u64,
        end: usize,
    },
    Chaos(Chaos),
}

/// What goes wrong, and what people do.
#[derive(Clone, Debug)]
pub(crate) enum Chaos {
    Break {
        link: usize,
    },
    Repair {
        link: usize,
    },
    Crash {
        agent: usize,
    },
    Leave {
        agent: usize,
    },
    Boot {
        agent: usize,
        epoch: u64,
    },
    Advertise {
        agent: usize,
        prefix: IpNet,
        metric: u32,
    },
    Withdraw {
        agent: usize,
        prefix: IpNet,
    },
    Measure {
        link: usize,
        rtt_us: u64,
    },
    Lossless,
}

pub(crate) struct World {
    pub(crate) agents: Vec<Agent>,
    pub(crate) links: Vec<Link>,
    pub(crate) rng: Rng,
    /// Control messages of a hundred that are lost.
    pub(crate) loss: u64,
    /// Every message goes through its bytes.
    pub(crate) codec: bool,
    pub(crate) settings: Settings,
    pub(crate) messages: u64,
    start: Instant,
    now_us: u64,
    ordinal: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    of_agent: Vec<Vec<usize>>,
}

/// The id of the agent numbered `index`: spread over the digest's buckets.
pub(crate) fn id_of(index: usize) -> AgentId {
    let mut rng = Rng::new(index as u64 + 1);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&rng.next().to_be_bytes());
    id[8..].copy_from_slice(&rng.next().to_be_bytes());
    AgentId(id)
}

/// Settings as configured by default, with the longest reach.
pub(crate) fn settings() -> Settings {
    Settings {
        id: AgentId([0; 16]),
        epoch: 0,
        display_name: String::new(),
        max_hops: 15,
        advertise_interval: Duration::from_secs(120),
        route_ttl: Duration::from_secs(300),
        transit: true,
        limits: Limits::default(),
    }
}

impl World {
    pub(crate) fn new(seed: u64, ids: Vec<AgentId>, edges: &Edges, settings: Settings) -> Self {
        let mut rng = Rng::new(seed);
        let agents: Vec<Agent> = ids
            .into_iter()
            .map(|id| Agent {
                id,
                core: None,
                epoch: GENESIS_MS,
                routes: BTreeMap::new(),
                clock_ms: rng.within(0..80_000) as i64 - 40_000,
                alarms: Vec::new(),
                wake: None,
            })
            .collect();
        let links: Vec<Link> = edges
            .iter()
            .map(|(a, b)| Link {
                ends: [*a, *b],
                cost: rng.within(1..5) as u32,
                works: true,
                delay_us: rng.within(100..40_000),
                session: 0,
                up: [false; 2],
                last_arrival: [0; 2],
            })
            .collect();
        let mut of_agent = vec![Vec::new(); agents.len()];
        for (index, link) in links.iter().enumerate() {
            link.ends.iter().for_each(|end| of_agent[*end].push(index));
        }
        Self {
            agents,
            links,
            rng,
            loss: 0,
            codec: false,
            settings,
            messages: 0,
            start: Instant::now(),
            now_us: 0,
            ordinal: 0,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            of_agent,
        }
    }

    /// Starts every agent within the first half second.
    pub(crate) fn boot_all(&mut self) {
        for agent in 0..self.agents.len() {
            let at = self.rng.within(0..500);
            let epoch = self.agents[agent].epoch + at;
            self.plan(at, Chaos::Boot { agent, epoch });
        }
    }

    /// Lets `chaos` happen `after_ms` from now.
    pub(crate) fn plan(&mut self, after_ms: u64, chaos: Chaos) {
        self.push(after_ms * 1_000, Event::Chaos(chaos));
    }

    /// Runs for `seconds` of virtual time.
    pub(crate) fn run(&mut self, seconds: u64) {
        let end = self.now_us + seconds * 1_000_000;
        while let Some(Reverse((at, ordinal))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now_us = at;
            let event = self.events.remove(&ordinal).expect("queued once");
            self.happen(event);
        }
        self.now_us = end;
    }

    pub(crate) fn is_alive(&self, agent: usize) -> bool {
        self.agents[agent].core.is_some()
    }

    /// Links that work, between agents that live.
    pub(crate) fn true_links(&self) -> impl Iterator<Item = &Link> {
        self.links
            .iter()
            .filter(|link| link.works && link.ends.iter().all(|end| self.is_alive(*end)))
    }

    fn push(&mut self, after_us: u64, event: Event) {
        self.ordinal += 1;
        self.queue
            .push(Reverse((self.now_us + after_us, self.ordinal)));
        self.events.insert(self.ordinal, event);
    }

    fn now(&self, agent: usize) -> Now {
        let unix_ms = GENESIS_MS + 3_600_000 + self.now_us / 1_000;
        Now {
            instant: self.start + Duration::from_micros(self.now_us),
            unix_ms: unix_ms
                .checked_add_signed(self.agents[agent].clock_ms)
                .expect("clocks are near"),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive {
                link,
                session,
                end,
                message,
            } => {
                let there = &self.links[link];
                if there.works && there.session == session && there.up[end] {
                    let from = self.agents[there.ends[1 - end]].id;
                    let agent = there.ends[end];
                    self.tell(agent, |core, now| core.handle_message(now, from, message));
                }
            }
            Event::Wake { agent } => {
                self.agents[agent].wake = None;
                self.tell(agent, |core, now| {
                    if core.poll_timeout().is_some_and(|at| at <= now.instant) {
                        core.handle_timeout(now);
                    }
                });
            }
            Event::Establish { link } => self.establish(link),
            Event::Notice { link, session, end } => {
                if self.links[link].session == session {
                    self.lose(link, end);
                }
            }
            Event::Chaos(chaos) => self.go_wrong(chaos),
        }
    }

    fn go_wrong(&mut self, chaos: Chaos) {
        match chaos {
            Chaos::Break { link } => {
                self.links[link].works = false;
                self.notice_loss(link);
            }
            Chaos::Repair { link } => {
                self.links[link].works = true;
                self.establish_soon(link);
            }
            Chaos::Crash { agent } => self.stop(agent),
            Chaos::Leave { agent } => {
                self.tell(agent, |core, now| core.handle_shutdown(now));
                self.stop_later(agent);
            }
            Chaos::Boot { agent, epoch } => self.boot(agent, epoch),
            Chaos::Advertise {
                agent,
                prefix,
                metric,
            } => {
                self.agents[agent].routes.insert(prefix, metric);
                self.advertise(agent);
            }
            Chaos::Withdraw { agent, prefix } => {
                self.agents[agent].routes.remove(&prefix);
                self.advertise(agent);
            }
            Chaos::Measure { link, rtt_us } => {
                let ends = self.links[link].ends;
                let other = self.agents[ends[1]].id;
                self.tell(ends[0], |core, now| {
                    core.handle_link_metrics(now, other, rtt_us, 1_400);
                });
            }
            Chaos::Lossless => self.loss = 0,
        }
    }

    fn boot(&mut self, agent: usize, epoch: u64) {
        if self.is_alive(agent) {
            return;
        }
        let id = self.agents[agent].id;
        let settings = Settings {
            id,
            epoch,
            display_name: format!("agent {agent}"),
            ..self.settings.clone()
        };
        let core = Core::new(self.now(agent), settings, Fake::new(id));
        self.agents[agent].epoch = epoch;
        self.agents[agent].core = Some(core);
        self.advertise(agent);
        for link in self.of_agent[agent].clone() {
            self.establish_soon(link);
        }
    }

    /// The goodbye still leaves the host.
    fn stop_later(&mut self, agent: usize) {
        self.push(50_000, Event::Chaos(Chaos::Crash { agent }));
    }

    fn stop(&mut self, agent: usize) {
        self.agents[agent].core = None;
        for link in self.of_agent[agent].clone() {
            let end = usize::from(self.links[link].ends[1] == agent);
            self.links[link].up[end] = false;
            self.notice_loss(link);
        }
    }

    fn advertise(&mut self, agent: usize) {
        let prefixes = self.agents[agent].routes.iter();
        let routes = OwnRoutes {
            prefixes: prefixes
                .map(|(prefix, metric)| (*prefix, *metric))
                .collect(),
            ..OwnRoutes::default()
        };
        self.tell(agent, |core, now| core.handle_routes(now, routes));
    }

    fn establish_soon(&mut self, link: usize) {
        let after = self.rng.within(1_000..400_000);
        self.push(after, Event::Establish { link });
    }

    fn establish(&mut self, index: usize) {
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

    /// Both ends notice within three heartbeats; not at the same time.
    fn notice_loss(&mut self, link: usize) {
        let session = self.links[link].session;
        for end in 0..2 {
            let after = self.rng.within(50_000..300_000);
            self.push(after, Event::Notice { link, session, end });
        }
    }

    fn lose(&mut self, index: usize, end: usize) {
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

    /// Hands `input` to a living agent and carries out what it wants.
    fn tell(&mut self, agent: usize, input: impl FnOnce(&mut Core<Fake>, Now)) {
        let now = self.now(agent);
        let Some(core) = &mut self.agents[agent].core else {
            return;
        };
        input(core, now);
        let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
        let wake = core.poll_timeout().expect("a core always has a next sweep");
        for output in outputs {
            match output {
                Output::Send { to, message } => self.send(agent, to, message),
                Output::Disconnect { neighbor, reason } => {
                    panic!("honest agent {neighbor} was convicted: {reason}")
                }
                Output::Alarm(alarm) => self.agents[agent].alarms.push(alarm),
                Output::TopologyChanged | Output::RoutesChanged | Output::EpochAdvanced(_) => {}
            }
        }
        let wake_us = wake.saturating_duration_since(self.start).as_micros() as u64;
        if self.agents[agent].wake.is_none_or(|other| wake_us < other) {
            self.agents[agent].wake = Some(wake_us);
            let after = wake_us.saturating_sub(self.now_us);
            self.push(after, Event::Wake { agent });
        }
    }

    fn send(&mut self, agent: usize, to: AgentId, message: ControlMessage) {
        let limit = self.settings.limits.control_message / 2 + 64;
        assert!(message.wire_bytes() <= limit, "message is within bounds");
        let message = if self.codec { recode(message) } else { message };
        self.messages += 1;
        let found = self.of_agent[agent].iter().copied().find(|index| {
            let link = &self.links[*index];
            let end = usize::from(link.ends[1] == agent);
            link.up[end] && self.agents[link.ends[1 - end]].id == to
        });
        let Some(index) = found else {
            return;
        };
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

/// The prefixes that an agent is an exit for.
pub(crate) fn prefixes(agent: &Agent) -> BTreeSet<(IpNet, u32)> {
    let routes = agent.routes.iter();
    routes.map(|(prefix, metric)| (*prefix, *metric)).collect()
}
