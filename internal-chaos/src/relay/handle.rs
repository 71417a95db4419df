//! A running relay as its owner sees it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::core::Core;
use super::counters::Counters;
use super::shell::Shared;
use crate::condition::{self, Condition};
use crate::impairment::Impairment;
use crate::packet::{Direction, Ways};
use crate::rules::{Rule, RuleId};

/// How a relay begins.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where clients find it; port 0 picks one.
    pub listen: SocketAddr,
    /// The agent behind it.
    pub server: SocketAddr,
    pub condition: Condition,
    /// Of everything random. Packets come when they come: equal seeds draw equally, packet by
    /// packet, but two runs do not have the same packets.
    pub seed: u64,
    /// Both addresses must be loopback's otherwise: a relay forwards for whoever reaches it.
    pub allow_non_loopback: bool,
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error("{address} is not on loopback, which has to be allowed: a relay trusts everybody")]
    NotLoopback { address: SocketAddr },
    #[error("cannot relay on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// A running relay. It ends when dropped; what it holds then is lost.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<thread::JoinHandle<()>>,
}

/// A rule in force; dropping it removes the rule.
#[derive(Debug)]
#[must_use = "the rule is removed when its guard is dropped"]
pub struct RuleGuard {
    shared: Arc<Shared>,
    /// `None`: it stays.
    id: Option<RuleId>,
}

impl Options {
    /// A clear link on a free port of loopback, with seed 0.
    pub fn to(server: SocketAddr) -> Self {
        let loopback = match server {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Self {
            listen: SocketAddr::new(loopback, 0),
            server,
            condition: condition::CLEAR,
            seed: 0,
            allow_non_loopback: false,
        }
    }
}

impl Relay {
    /// Starts a relay. Its sockets and its thread belong to the calling thread's network
    /// namespace.
    pub fn start(options: &Options) -> Result<Self, RelayError> {
        for address in [options.listen, options.server] {
            if !options.allow_non_loopback && !address.ip().is_loopback() {
                return Err(RelayError::NotLoopback { address });
            }
        }
        let failed = |source| RelayError::Listen {
            address: options.listen,
            source,
        };
        let core = Core::new(Instant::now(), &options.condition, options.seed);
        let shared = Shared::new(options.listen, options.server, core).map_err(failed)?;
        let shared = Arc::new(shared);
        let address = shared.address().map_err(failed)?;
        let running = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || running.run())
            .map_err(failed)?;
        Ok(Self {
            shared,
            address,
            thread: Some(thread),
        })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what some directions do, from now on.
    pub fn set(&self, ways: Ways, impairment: Impairment) {
        self.shared.change(|state| {
            state
                .core
                .handle_impairment(Instant::now(), ways, impairment);
        });
    }

    /// Changes both directions to a named condition.
    pub fn apply(&self, condition: &Condition) {
        self.shared.change(|state| {
            for direction in Direction::ALL {
                let link = condition.towards(direction);
                let now = Instant::now();
                state.core.handle_impairment(now, direction.into(), link);
            }
        });
    }

    /// What a direction does now.
    pub fn impairment(&self, direction: Direction) -> Impairment {
        self.shared.lock().core.impairment(direction)
    }

    /// Adds a rule behind all others, until the guard is dropped.
    pub fn rule(&self, rule: Rule) -> RuleGuard {
        RuleGuard {
            shared: Arc::clone(&self.shared),
            id: Some(self.shared.change(|state| state.core.rules.add(rule))),
        }
    }

    /// Removes a rule by its id, if it is still there.
    pub fn remove_rule(&self, id: RuleId) {
        self.shared.change(|state| state.core.rules.remove(id));
    }

    /// Clears both directions and removes all rules.
    pub fn heal(&self) {
        self.shared.change(|state| state.core.rules.clear());
        self.apply(&condition::CLEAR);
    }

    /// Gives every client another outward port, as a NAT does that lost its mappings: what the
    /// server sends to the old ones is lost.
    pub fn rebind(&self) -> io::Result<()> {
        self.shared.change(|state| {
            state.nat.rebind()?;
            state.rebinds += 1;
            Ok(())
        })
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.shared.lock().counters()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.end();
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic about; if it did, it said so.
            let _ = thread.join();
        }
    }
}

impl RuleGuard {
    /// How many packets the rule has decided so far.
    pub fn decided(&self) -> u64 {
        let state = self.shared.lock();
        let decided = self.id.and_then(|id| state.core.rules.decided(id));
        decided.unwrap_or(0)
    }

    /// Lets the rule stay for as long as the relay.
    pub fn keep(mut self) -> RuleId {
        self.id.take().expect("only keeping takes the id")
    }
}

impl Drop for RuleGuard {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.change(|state| state.core.rules.remove(id));
        }
    }
}
