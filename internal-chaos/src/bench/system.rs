//! The systems under test, and how each is started in a chain of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use tempfile::TempDir;

use crate::chain::Chain;
use crate::mesh::{Agents, Settings, Whole};
use crate::openssh::OpenSsh;
use crate::spot::INSIDE;

/// A system under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// TCP forwarded by the kernel of one transit; the wires' own limit.
    Kernel,
    /// `ssh -D` through one jump host.
    OpenSsh,
    /// Warren with so many transits.
    Warren(u8),
}

/// What a process is for, in the order of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Ingress,
    Transit,
    Exit,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Transit, Self::Exit];

    /// The role of node `index` of `count`.
    fn of(index: usize, count: usize) -> Self {
        match index {
            0 => Self::Ingress,
            _ if index + 1 == count => Self::Exit,
            _ => Self::Transit,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Transit => "transit",
            Self::Exit => "exit",
        }
    }
}

/// A started system.
#[derive(Debug)]
pub enum Running {
    Kernel,
    OpenSsh(OpenSsh),
    /// With the folder of its files.
    Warren(Agents, TempDir),
}

impl System {
    pub const ALL: [Self; 6] = [
        Self::Kernel,
        Self::OpenSsh,
        Self::Warren(0),
        Self::Warren(1),
        Self::Warren(2),
        Self::Warren(3),
    ];

    /// Nodes between ingress and exit.
    pub fn transits(self) -> usize {
        match self {
            Self::Kernel | Self::OpenSsh => 1,
            Self::Warren(transits) => usize::from(transits),
        }
    }

    /// The SOCKS5 proxy in the first namespace, if the system is one.
    pub fn proxy(self) -> Option<SocketAddr> {
        (self != Self::Kernel).then_some(INSIDE.socks)
    }

    /// Starts it in `chain`.
    pub async fn start(self, chain: &Chain, warren: &Path) -> anyhow::Result<Running> {
        Ok(match self {
            Self::Kernel => Running::Kernel,
            Self::OpenSsh => Running::OpenSsh(OpenSsh::start(chain).await?),
            Self::Warren(transits) => {
                let folder = TempDir::with_prefix("chaos-mesh-").context("cannot make a folder")?;
                let whole = Whole {
                    links: usize::from(transits) + 1,
                    exits: 1,
                    ..Whole::default()
                };
                let path = folder.path();
                let mut agents = Agents::prepare(warren, path, chain.plans(), whole).await?;
                agents.start(&quiet()).await?;
                Running::Warren(agents, folder)
            }
        })
    }
}

/// Agents that log what is wrong and nothing else.
fn quiet() -> Settings {
    let log = ("log_level".to_owned(), "warn".into());
    let section = Settings::from_iter([log]);
    Settings::from_iter([("agent".to_owned(), section.into())])
}

impl Running {
    /// The processes that carry the traffic, with their roles.
    pub fn processes(&self) -> Vec<(Role, u32)> {
        let pids = match self {
            Self::Kernel => Vec::new(),
            Self::OpenSsh(system) => system.pids(),
            Self::Warren(agents, _) => agents.pids().into_iter().flatten().collect(),
        };
        let count = pids.len();
        pids.into_iter()
            .enumerate()
            .map(|(index, pid)| (Role::of(index, count), pid))
            .collect()
    }

    /// An error if one of its processes is gone.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Kernel => Ok(()),
            Self::OpenSsh(system) => system.check(),
            Self::Warren(agents, _) => agents.check(&BTreeSet::new()),
        }
    }

    /// Ends its processes.
    pub async fn stop(self) {
        match self {
            Self::Kernel => {}
            Self::OpenSsh(system) => system.stop().await,
            Self::Warren(mut agents, _folder) => agents.stop().await,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::OpenSsh => f.write_str("openssh"),
            Self::Warren(transits) => write!(f, "warren-{transits}"),
        }
    }
}

impl FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|system| system.to_string() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(|system| system.to_string());
                format!("unknown system; known are {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for system in System::ALL {
            assert_eq!(system.to_string().parse(), Ok(system));
        }
        assert!("warren-4".parse::<System>().is_err());
    }

    #[test]
    fn roles_by_place() {
        let roles: Vec<Role> = (0..4).map(|index| Role::of(index, 4)).collect();
        assert_eq!(
            roles,
            [Role::Ingress, Role::Transit, Role::Transit, Role::Exit]
        );
        assert_eq!(Role::of(1, 2), Role::Exit);
    }
}
