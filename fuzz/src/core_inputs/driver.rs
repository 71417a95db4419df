//! Feeds the core, and holds it against the model after every step.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use ipnet::IpNet;
use warren::config::Limits;
use warren::identity::AgentId;
use warren::routing::{AdvResult, Core, LinkMetrics, LinkUp, Now, Output, OwnRoutes, Settings};
use warren::wire::{BucketSummary, ControlMessage, Digest, Flood, ObjectKey, Request};

use super::authority::{Fake, Notary};
use super::model::Model;
use super::objects::{AGENTS, GENESIS_MS, Object, id, metrics};
use super::outputs::check_send;
use super::paths;

/// Objects kept to be flooded again.
const MOST_AGAIN: usize = 32;

/// Longer than any delay before own routes are told.
const TOLD_AFTER: Duration = Duration::from_secs(6);

/// Links lost that are told at once: so many may be within a second.
const LOST_AT_ONCE: usize = 64;

/// What one agent's own advertisements may take beyond the memory that others share.
const OWN_BYTES: usize = 2_048;

pub(super) struct Driver {
    core: Core<Fake>,
    settings: Settings,
    now: Now,
    model: Model,
    /// Neighbours, and whether they still are believed.
    sessions: BTreeMap<AgentId, bool>,
    flooded: Vec<Object>,
    /// How often a link went down.
    losses: usize,
    routes: BTreeMap<IpNet, u32>,
    /// Nothing is issued any more.
    stopped: bool,
    /// The wall clock jumped, so that the model no longer knows when what is void goes.
    jumped: bool,
}

impl Driver {
    pub(super) fn new() -> Self {
        let settings = settings();
        let now = Now {
            instant: Instant::now(),
            unix_ms: GENESIS_MS,
        };
        let mut driver = Self {
            core: Core::new(
                now,
                settings.clone(),
                Fake::new(id(0), 0, &Notary::default()),
            ),
            model: Model::new(settings.limits.clone()),
            settings,
            now,
            sessions: BTreeMap::new(),
            flooded: Vec::new(),
            losses: 0,
            routes: BTreeMap::new(),
            stopped: false,
            jumped: false,
        };
        driver.carry_out();
        driver
    }

    /// Reads what happens next, lets it happen, and compares.
    pub(super) fn step(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.int_in_range(0..=15)? {
            0 | 1 => self.link_up(bytes)?,
            2 => {
                let neighbor = id(bytes.int_in_range(1..=AGENTS - 1)?);
                self.sessions.remove(&neighbor);
                self.losses += 1;
                self.core.handle_link_down(self.now, neighbor);
            }
            3 => {
                let neighbor = id(bytes.int_in_range(1..=AGENTS - 1)?);
                let (rtt_us, mtu) = (bytes.arbitrary::<u32>()?.into(), bytes.arbitrary()?);
                self.core
                    .handle_link_metrics(self.now, neighbor, rtt_us, mtu);
            }
            4 => self.configure(bytes)?,
            5 => self.wait(Duration::from_secs(bytes.int_in_range(1..=600)?)),
            6 => self.wait(Duration::from_millis(bytes.int_in_range(0..=3_000)?)),
            7..=11 => {
                let object = Object::read(bytes, self.now.unix_ms)?;
                self.flood(bytes, object)?;
            }
            12 => {
                if let Some(old) = self.flooded.get(bytes.choose_index(MOST_AGAIN)?) {
                    let again = old.again(bytes)?;
                    self.flood(bytes, again)?;
                }
            }
            13 => self.reconcile(bytes)?,
            14 => match bytes.int_in_range(0..=2)? {
                0 => self.core.handle_load(self.now, bytes.arbitrary()?),
                1 => self.core.handle_draining(self.now, bytes.arbitrary()?),
                _ => self.core.handle_trust_changed(self.now),
            },
            _ => self.seldom(bytes)?,
        }
        self.carry_out();
        self.compare();
        Ok(())
    }

    /// All paths and candidates, against an enumeration.
    pub(super) fn compare_paths(&self) {
        paths::compare(&self.core);
    }

    fn link_up(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let neighbor = id(bytes.int_in_range(0..=AGENTS - 1)?);
        let link = LinkUp {
            neighbor,
            metrics: LinkMetrics {
                cost: *bytes.choose(&[1, 2, 10, u32::MAX, 0])?,
                rtt_us: bytes.int_in_range(0..=100_000)?,
                mtu: *bytes.choose(&[1_452, 0, 1_226, 1_280])?,
            },
            peer_epoch: GENESIS_MS + bytes.int_in_range(0..=2)?,
        };
        // A link with ourselves is another process of our key, and no session.
        if neighbor != id(0) {
            self.sessions.insert(neighbor, true);
        }
        self.core.handle_link_up(self.now, link);
        Ok(())
    }

    fn configure(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let prefixes = metrics(bytes)?;
        self.routes = prefixes.iter().copied().collect();
        let routes = OwnRoutes {
            prefixes,
            ..OwnRoutes::default()
        };
        self.core.handle_routes(self.now, routes);
        Ok(())
    }

    fn seldom(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        match bytes.int_in_range(0..=7)? {
            0 => {
                let far: i32 = bytes.arbitrary()?;
                self.now.unix_ms = self.now.unix_ms.saturating_add_signed(far.into());
                self.jumped = true;
            }
            1 => {
                self.core.handle_shutdown(self.now);
                self.stopped = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn flood(&mut self, bytes: &mut Unstructured<'_>, object: Object) -> Result<()> {
        let from = id(bytes.int_in_range(1..=AGENTS - 1)?);
        let flood = Flood {
            certificates: object.enclosed.iter().cloned().collect(),
            advertisements: vec![object.envelope.clone()],
        };
        let expected = self.model.judge(&self.core, &object, self.now.unix_ms);
        let before = self.results();
        self.core
            .handle_message(self.now, from, ControlMessage::Flood(flood));
        let after = self.results();
        let news = before.iter().zip(&after);
        let counted: Vec<AdvResult> = news
            .filter(|((_, before), (_, after))| before != after)
            .map(|((result, _), _)| *result)
            .collect();
        if self.sessions.get(&from) != Some(&true) {
            assert_eq!(counted, [], "from nobody who is believed");
            return Ok(());
        }
        let [result] = counted[..] else {
            panic!("{counted:?} for one advertisement");
        };
        assert!(
            self.jumped || expected.contains(&result),
            "{result:?}, expected one of {expected:?} for {object:?}"
        );
        if result == AdvResult::BadSignature {
            self.sessions.insert(from, false);
        }
        if result == AdvResult::Accepted {
            self.model.store(&object);
        }
        if self.flooded.len() < MOST_AGAIN {
            self.flooded.push(object);
        }
        Ok(())
    }

    fn reconcile(&mut self, bytes: &mut Unstructured<'_>) -> Result<()> {
        let from = id(bytes.int_in_range(1..=AGENTS - 1)?);
        let keys: Vec<ObjectKey> = self
            .flooded
            .iter()
            .filter_map(|object| object.envelope.adv.key())
            .skip(bytes.int_in_range(0..=MOST_AGAIN)?)
            .collect();
        let message = match bytes.int_in_range(0..=2)? {
            0 => {
                let mut buckets = self.core.digest().to_vec();
                buckets[usize::from(bytes.arbitrary::<u8>()?)] ^= bytes.arbitrary::<u64>()?;
                buckets.truncate(*bytes.choose(&[256, 255, 0])?);
                let reach = vec![bytes.arbitrary()?; *bytes.choose(&[256, 7, 300])?].into();
                ControlMessage::Digest(Digest { buckets, reach })
            }
            1 => ControlMessage::BucketSummary(BucketSummary {
                reach: vec![bytes.arbitrary()?; keys.len() + bytes.int_in_range(0..=1)?].into(),
                objects: keys,
            }),
            _ => ControlMessage::Request(Request { objects: keys }),
        };
        self.core.handle_message(self.now, from, message);
        Ok(())
    }

    /// Lets time pass, with every timer that falls due.
    fn wait(&mut self, time: Duration) {
        let end = self.now.instant + time;
        loop {
            let due = self.core.poll_timeout().expect("there is always a sweep");
            if due > end {
                break;
            }
            self.pass(due.max(self.now.instant));
            self.core.handle_timeout(self.now);
            self.carry_out();
            let next = self.core.poll_timeout().expect("there is always a sweep");
            assert!(next > self.now.instant, "a timer that does not go away");
        }
        self.pass(end);
        self.model.expire(self.now.unix_ms);
        if time >= TOLD_AFTER {
            self.compare_own_routes();
        }
    }

    fn pass(&mut self, until: Instant) {
        let millis = (until - self.now.instant).as_millis() as u64;
        self.now.instant = until;
        self.now.unix_ms += millis;
    }

    /// Takes the outputs as the shell would.
    fn carry_out(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Send { to, message } => {
                    let listens = self.sessions.get(&to) == Some(&true);
                    assert!(listens, "{message:?} for {to}, which has no session");
                    check_send(&self.settings.limits, &message);
                }
                Output::Disconnect { neighbor, reason } => {
                    let convicted = self.sessions.get(&neighbor) == Some(&false);
                    assert!(convicted, "{neighbor} was convicted: {reason}");
                }
                Output::TopologyChanged
                | Output::RoutesChanged
                | Output::EpochAdvanced(_)
                | Output::Alarm(_) => {}
            }
        }
    }

    fn compare(&self) {
        let limits = &self.settings.limits;
        assert!(self.core.origins().count() <= limits.origins + 1);
        assert!(self.core.database_bytes() <= limits.advertisement_bytes + OWN_BYTES);
        let own = self.core.link_adv(id(0)).expect("it was issued at once");
        assert!(own.neighbors.len() <= limits.neighbors_per_origin);
        let mut told = own.neighbors.iter();
        let live = told.all(|neighbor| self.sessions.contains_key(&neighbor.id));
        assert!(live || self.losses > LOST_AT_ONCE, "a lost link is told");
        if !self.jumped {
            self.model.compare(&self.core);
        }
    }

    fn compare_own_routes(&self) {
        if self.stopped || self.core.is_silenced() {
            return;
        }
        let advertised = self.core.routes_of(id(0)).flat_map(|adv| &adv.prefixes);
        let advertised: Vec<_> = advertised
            .map(|route| (route.prefix, route.metric))
            .collect();
        let wanted = self
            .routes
            .iter()
            .map(|(prefix, metric)| (*prefix, *metric));
        let most = self.settings.limits.routes_per_origin;
        assert_eq!(advertised, wanted.take(most).collect::<Vec<_>>());
    }

    fn results(&self) -> Vec<(AdvResult, u64)> {
        let total = |result| (result, self.core.counters().total(result));
        AdvResult::ALL.into_iter().map(total).collect()
    }
}

/// Limits so small that a short input reaches them.
fn settings() -> Settings {
    Settings {
        id: id(0),
        epoch: GENESIS_MS,
        display_name: "under test".to_owned(),
        max_hops: 15,
        advertise_interval: Duration::from_secs(120),
        route_ttl: Duration::from_secs(300),
        transit: true,
        limits: Limits {
            origins: 4,
            neighbors_per_origin: 3,
            routes_per_origin: 6,
            advertisement_bytes: 2_400,
            ..Limits::default()
        },
    }
}
