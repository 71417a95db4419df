//! A scenario in which no bad state can be written: names are indices, links exist, faults have
//! what they need. Made by `load`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_yaml::Spanned;

use super::text::{Bound, Texts};
use crate::condition::Condition;
use crate::fault::Step;
/// Where an agent stands in [`Scenario::agents`].
pub use crate::mesh::AgentId;
use crate::mesh::Settings;
use crate::packet::Ways;
use crate::rules::Rule;
use crate::units::Rate;
use crate::workload::checked::Kind;

/// Where the link stands in [`Scenario::links`].
pub type LinkId = usize;

/// A whole scenario.
#[derive(Debug)]
pub struct Scenario {
    /// The file's name without its end.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Rows of the failure table of `docs/high-availability.md` that it shows.
    pub covers: Vec<String>,
    /// How long the load lasts. Faults begin and end inside.
    pub duration: Duration,
    /// Each fault strikes up to so much later, by the seed.
    pub jitter: Duration,
    /// How long a transfer may take to end once it is told to: what is under way drains meanwhile.
    pub drain: Duration,
    /// How long a new connection is waited for, and as long for its first answer.
    pub connect_limit: Duration,
    /// HAProxy stands in front of all ingresses.
    pub has_balancer: bool,
    pub agents: Vec<Agent>,
    pub links: Vec<Link>,
    /// What listens besides the target of the load, such as what an exit's health check asks.
    pub sites: Vec<String>,
    /// Name servers.
    pub resolvers: Vec<String>,
    /// By their times.
    pub faults: Vec<Fault>,
    pub loads: Vec<Load>,
    pub expect: Expect,
}

#[derive(Debug)]
pub struct Agent {
    pub name: String,
    pub is_ingress: bool,
    /// What it advertises, if it is an exit.
    pub prefixes: Option<Vec<String>>,
    /// Sites that its health checks connect to.
    pub checks: Vec<String>,
    /// Name servers that it asks.
    pub resolvers: Vec<String>,
    /// How long after it was made its certificate expires.
    pub expires: Option<Duration>,
    /// Keys of its configuration file: the scenario's, then its own.
    pub settings: Settings,
}

/// A link between two agents that dial each other.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub one: AgentId,
    pub other: AgentId,
    pub cost: u32,
    pub condition: Condition,
}

/// What happens when.
#[derive(Debug)]
pub struct Fault {
    pub at: Duration,
    /// After so long it is undone; `None`: not before the end.
    pub lasts: Option<Duration>,
    pub what: What,
    /// As people read it.
    pub text: String,
}

/// One direction of a link, or both. [`Ways::ToServer`] is from the link's first agent to its
/// second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    pub link: LinkId,
    pub ways: Ways,
}

#[derive(Clone, Debug)]
pub enum What {
    Kill(AgentId),
    Terminate(AgentId),
    Stop(AgentId),
    /// Undoes every stop so far.
    Continue(AgentId),
    /// Ends it if it runs, and starts it.
    Restart(AgentId),
    /// Drains each, starts it again and waits until the mesh is whole, one after the other.
    Roll(Vec<AgentId>),
    /// What links become.
    Figures(Vec<Section>, Box<Condition>),
    Rule(Vec<Section>, Rule),
    /// Undoes figures and rules so far.
    Heal(Vec<Section>),
    Rebind(Vec<Section>),
    Hog {
        agent: AgentId,
        rivals: u32,
    },
    FillDisk(AgentId),
    ExhaustDescriptors {
        agent: AgentId,
        spare: usize,
    },
    StepClock {
        agent: AgentId,
        step: Step,
    },
    /// The target, a site or a name server stops answering.
    Close(String),
    /// The mesh CA's key is gone.
    LoseCa,
}

/// Where a load enters the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    Ingress(AgentId),
    /// HAProxy in front of all ingresses.
    Balancer,
}

/// What an application does.
#[derive(Clone, Debug)]
pub struct Load {
    pub work: Work,
    pub entry: Entry,
    /// Asks for the target by its name.
    pub by_name: bool,
    /// Transfers begin anew when they broke.
    pub again: bool,
    /// A transfer lasts so long, and the next one begins; `None`: as long as the load.
    pub each: Option<Duration>,
    pub at: Duration,
    pub lasts: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// Transfers that last as long as the load; `rate` is of each.
    Download {
        count: u32,
        rate: Option<Rate>,
    },
    Upload {
        count: u32,
        rate: Option<Rate>,
    },
    /// A new connection so often: connect, echo, close.
    Connect {
        every: Duration,
    },
    /// So many short connections, as fast as it goes.
    Storm {
        count: u32,
    },
    /// Clients without manners, so many at once.
    Rude {
        count: u32,
    },
    /// A load that checks itself; `rate` is of each connection and direction.
    Checked {
        kind: Kind,
        count: u32,
        rate: Option<Rate>,
    },
}

/// What must hold. Besides, always: every byte is exact, no connection reaches the target but from
/// an exit, and no agent ends by itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Expect {
    /// From the start of the agents until each knew every link and every ingress a way to every exit.
    #[serde(with = "humantime_serde")]
    pub forms_within: Option<Duration>,
    /// Attempts to reach a peer that failed, of all agents, from their start to the end.
    pub failed_dials: Option<Bound>,
    /// Links that agents lost, from their start to the end; both ends of a link tell of it.
    pub link_downs: Option<Bound>,
    /// Open connections that ended early.
    pub broken: Bound,
    /// New connections that were refused or got no answer.
    pub failed: Bound,
    /// The longest silence of any transfer that lived on.
    #[serde(with = "humantime_serde")]
    pub stall: Option<Duration>,
    /// The longest wait of a new connection.
    #[serde(with = "humantime_serde")]
    pub wait: Option<Duration>,
    /// What broke had ended so long after the last fault before it.
    #[serde(with = "humantime_serde")]
    pub ended_within: Option<Duration>,
    /// So long after the last fault ended, all new connections work.
    #[serde(with = "humantime_serde")]
    pub recovers_within: Option<Duration>,
    /// SOCKS5 replies that failed connections may have had.
    pub replies: Option<Vec<u8>>,
    /// Failovers that the ingresses tell of.
    pub failovers: Option<Bound>,
    /// The hops of most connections at the end.
    pub path: Option<Spanned<Vec<String>>>,
    /// So long after the last fault ended, the path is that one.
    #[serde(with = "humantime_serde")]
    pub returns_within: Option<Duration>,
    /// What `/healthz` of an agent may say at the end.
    pub health: BTreeMap<String, Spanned<Texts>>,
    /// What some agent's `/healthz` must have given as a reason at some time.
    pub reason: Option<String>,
    /// Resident memory, most over all agents that were not restarted.
    pub memory_growth_mib: Option<u64>,
    /// Open descriptors after the load against before.
    pub descriptor_growth: Option<u64>,
}

/// How long the defaults of faults and loads are.
pub mod defaults {
    use std::time::Duration;

    use crate::units::Rate;

    /// Enough that equal times in two scenarios do not mean equal phases of heartbeats (100 ms).
    pub const JITTER: Duration = Duration::from_millis(100);

    /// What is under way is a few MiB, which most links carry in that time.
    pub const DRAIN: Duration = Duration::from_secs(5);

    /// As the drill has it.
    pub const EVERY: Duration = Duration::from_millis(20);

    /// Two rivals on the same core leave a third of it.
    pub const RIVALS: u32 = 2;

    /// The whole of loopback, where the targets are.
    pub const PREFIX: &str = "127.0.0.0/8";

    /// A storm that any machine gets through.
    pub const STORM: u32 = 200;

    /// Slow enough to fill every window on the way within a second.
    pub const SLOW: Rate = Rate::kbit(400);
}

impl Scenario {
    pub fn agent(&self, name: &str) -> Option<AgentId> {
        self.agents.iter().position(|agent| agent.name == name)
    }

    /// Agents whose clocks are stepped.
    pub fn clocks(&self) -> BTreeSet<AgentId> {
        let stepped = self.faults.iter().filter_map(|fault| match fault.what {
            What::StepClock { agent, .. } => Some(agent),
            _ => None,
        });
        stepped.collect()
    }

    /// Agents whose disks are filled.
    pub fn disks(&self) -> BTreeSet<AgentId> {
        let filled = self.faults.iter().filter_map(|fault| match fault.what {
            What::FillDisk(agent) => Some(agent),
            _ => None,
        });
        filled.collect()
    }

    /// Agents that a fault ends.
    pub fn ended(&self) -> BTreeSet<AgentId> {
        let ended = self.faults.iter().flat_map(|fault| match &fault.what {
            What::Kill(agent) | What::Terminate(agent) | What::Restart(agent) => {
                std::slice::from_ref(agent)
            }
            What::Roll(agents) => agents,
            _ => &[],
        });
        ended.copied().collect()
    }
}

impl Expect {
    /// Multiplies every limit of time.
    pub fn be_patient(&mut self, times: u32) {
        let limits = [
            &mut self.forms_within,
            &mut self.stall,
            &mut self.wait,
            &mut self.ended_within,
            &mut self.recovers_within,
            &mut self.returns_within,
        ];
        for limit in limits.into_iter().flatten() {
            *limit = limit.saturating_mul(times);
        }
    }
}

impl Agent {
    pub fn is_exit(&self) -> bool {
        self.prefixes.is_some()
    }
}

impl Work {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Download { .. } => "download",
            Self::Upload { .. } => "upload",
            Self::Connect { .. } => "new connections",
            Self::Storm { .. } => "storm",
            Self::Rude { .. } => "rude clients",
            Self::Checked { kind, .. } => match kind {
                Kind::Both => "chain",
                Kind::Request => "requests",
                Kind::HalfClose => "half-close",
                Kind::SlowReader => "slow reader",
                Kind::Download | Kind::Upload | Kind::Storm => "checked",
            },
        }
    }
}
