//! A world in virtual time: agents, links that carry control messages in order, and one queue of
//! events. Everything that happens is a function of the seed.

mod chaos;
mod links;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use warren::config::Limits;
use warren::identity::AgentId;
use warren::routing::{Alarm, Core, Now, Output, Settings};
use warren::wire::ControlMessage;

pub(crate) use self::chaos::Chaos;
pub(crate) use self::links::{Link, Traffic};
use crate::authority::{Fake, Notary};
use crate::rng::Rng;
use crate::topology::Edges;

/// Unix milliseconds at which every world begins.
pub(crate) const GENESIS_MS: u64 = 1_800_000_000_000;

/// What becomes of a message that the agent of this number sends.
pub(crate) type Tamper = Box<dyn FnMut(usize, ControlMessage) -> Option<ControlMessage>>;

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

pub(crate) struct World {
    pub(crate) agents: Vec<Agent>,
    pub(crate) links: Vec<Link>,
    pub(crate) rng: Rng,
    /// Control messages of a hundred that are lost.
    pub(crate) loss: u64,
    /// Every message goes through its bytes.
    pub(crate) codec: bool,
    pub(crate) settings: Settings,
    /// Microseconds after which an end notices that its link is dead.
    pub(crate) detection_us: Range<u64>,
    /// Size of every certificate.
    pub(crate) certificate_bytes: usize,
    /// Agents that may be convicted of a bad signature.
    pub(crate) dishonest: BTreeSet<usize>,
    pub(crate) tamper: Option<Tamper>,
    pub(crate) sent: Traffic,
    /// When a link last came up.
    pub(crate) last_link_up_us: u64,
    notary: Notary,
    /// Agents whose graph or routes changed since [`World::take_changed`].
    changed: BTreeSet<usize>,
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
            // Three heartbeats of 100 ms; the ends do not notice at the same time.
            detection_us: 50_000..300_000,
            certificate_bytes: 16,
            dishonest: BTreeSet::new(),
            tamper: None,
            sent: Traffic::default(),
            last_link_up_us: 0,
            notary: Notary::default(),
            changed: BTreeSet::new(),
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
        self.plan_us(after_ms * 1_000, chaos);
    }

    /// The same `after_us` microseconds from now.
    pub(crate) fn plan_us(&mut self, after_us: u64, chaos: Chaos) {
        self.push(after_us, Event::Chaos(chaos));
    }

    /// Runs for `seconds` of virtual time.
    pub(crate) fn run(&mut self, seconds: u64) {
        let end = self.now_us + seconds * 1_000_000;
        while self.step(end) {}
    }

    /// Lets the next event before `end_us` happen. False: there is none, and the time is `end_us`.
    pub(crate) fn step(&mut self, end_us: u64) -> bool {
        let next = self.queue.peek().copied();
        let Some(Reverse((at, ordinal))) = next.filter(|Reverse((at, _))| *at <= end_us) else {
            self.now_us = end_us;
            return false;
        };
        self.queue.pop();
        self.now_us = at;
        let event = self.events.remove(&ordinal).expect("queued once");
        self.happen(event);
        true
    }

    /// Microseconds since the beginning.
    pub(crate) fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Agents that were told to compute anew since the last call.
    pub(crate) fn take_changed(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.changed)
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

    /// The neighbours that `agent` has, or had, a link with.
    pub(crate) fn neighbors(&self, agent: usize) -> impl Iterator<Item = usize> {
        let links = self.of_agent[agent].iter().map(|link| &self.links[*link]);
        links.map(move |link| link.ends[usize::from(link.ends[0] == agent)])
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
                    let mut dishonest = self.dishonest.iter();
                    let guilty = dishonest.any(|agent| self.agents[*agent].id == neighbor);
                    assert!(guilty, "honest agent {neighbor} was convicted: {reason}");
                    self.convict(agent, neighbor);
                }
                Output::Alarm(alarm) => self.agents[agent].alarms.push(alarm),
                Output::TopologyChanged | Output::RoutesChanged => {
                    self.changed.insert(agent);
                }
                Output::EpochAdvanced(_) => {}
            }
        }
        let wake_us = wake.saturating_duration_since(self.start).as_micros() as u64;
        if self.agents[agent].wake.is_none_or(|other| wake_us < other) {
            self.agents[agent].wake = Some(wake_us);
            let after = wake_us.saturating_sub(self.now_us);
            self.push(after, Event::Wake { agent });
        }
    }
}

/// The prefixes that an agent is an exit for.
pub(crate) fn prefixes(agent: &Agent) -> BTreeSet<(IpNet, u32)> {
    let routes = agent.routes.iter();
    routes.map(|(prefix, metric)| (*prefix, *metric)).collect()
}
