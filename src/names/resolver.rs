//! Whom names are looked up by: servers of a configuration, or what the system is configured to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::net::if_::if_nametoindex;

use super::families::Families;
use super::hosts::Hosts;
use super::lookup::{self, Asked, Lookup};
use super::resolv_conf::{self, ResolvConf};
use super::search::{self, Candidate};
use super::servers::{How, Servers};
use super::watched::Watched;
use super::without_dot;

/// Where the system's configuration lies.
#[derive(Clone, Debug)]
pub struct SystemFiles {
    pub resolv_conf: PathBuf,
    pub hosts: PathBuf,
    /// Holds this host's name, whose domain is the search list of a file without one.
    pub hostname: PathBuf,
}

impl Default for SystemFiles {
    fn default() -> Self {
        Self {
            resolv_conf: "/etc/resolv.conf".into(),
            hosts: "/etc/hosts".into(),
            hostname: "/proc/sys/kernel/hostname".into(),
        }
    }
}

/// Looks names up; cheap to clone.
#[derive(Clone, Debug)]
pub struct Resolver {
    source: Arc<Source>,
    /// For one name.
    timeout: Duration,
}

enum Source {
    Servers(Asked),
    System(Box<System>),
}

struct System {
    hosts: Watched<Hosts>,
    conf: Watched<Conf>,
}

/// The system's servers as of one state of the file.
struct Conf {
    conf: ResolvConf,
    asked: Asked,
    /// For one candidate, if the file says so.
    timeout: Option<Duration>,
}

impl Resolver {
    /// Asks these servers. Every name is absolute to them, and no file is read.
    pub fn of_servers(servers: &[SocketAddr], timeout: Duration) -> Self {
        let how = How::within(timeout, servers.len());
        let asked = Asked {
            servers: Arc::new(Servers::new(servers, how)),
            cache: Some(Arc::default()),
            flights: Arc::default(),
        };
        Self {
            source: Arc::new(Source::Servers(asked)),
            timeout,
        }
    }

    /// Asks whom `files` name, as of each lookup. `caches`: answers are kept for their time.
    pub fn of_system(files: &SystemFiles, timeout: Duration, caches: bool) -> Self {
        let hostname = files.hostname.clone();
        let read = move |text: &str| {
            // Without it there is no domain.
            let hostname = std::fs::read_to_string(&hostname).unwrap_or_default();
            let interface = |name: &str| if_nametoindex(name).ok();
            let conf = resolv_conf::parse(text, &hostname, interface);
            Conf::new(conf, timeout, caches)
        };
        let system = System {
            hosts: Watched::new(&files.hosts, Hosts::parse),
            conf: Watched::new(&files.resolv_conf, read),
        };
        Self {
            source: Arc::new(Source::System(Box::new(system))),
            timeout,
        }
    }

    /// Looks `name` up, with or without a trailing dot; an address is its own answer. `families` says
    /// which answers are worth waiting for. Takes the resolver's time at most.
    pub fn lookup(&self, name: &str, families: Families) -> Lookup {
        let bare = without_dot(name).trim_matches(['[', ']']);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Lookup::known(vec![ip]);
        }
        let (source, owned) = (self.source.clone(), name.to_owned());
        Lookup::spawn(name.to_owned(), self.timeout, move |parts| async move {
            match &*source {
                Source::Servers(asked) => {
                    let candidates = vec![as_given(&owned)];
                    lookup::run(candidates, families, asked, &parts).await
                }
                Source::System(system) => system.lookup(&owned, families, &parts).await,
            }
        })
    }
}

impl System {
    async fn lookup(
        &self,
        name: &str,
        families: Families,
        parts: &lookup::Parts,
    ) -> Result<(), super::exchange::Trouble> {
        let hosts = self.hosts.current().await;
        let known = hosts.lookup(name);
        if !known.is_empty() {
            parts.tell(known.to_vec(), false);
            return Ok(());
        }
        drop(hosts);
        let conf = self.conf.current().await;
        let families = if conf.conf.no_aaaa {
            Families::without_v6()
        } else {
            families
        };
        let candidates = if lookup::is_special(name) {
            vec![as_given(name)]
        } else {
            search::candidates(name, &conf.conf.search)
        };
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let running = lookup::run(candidates, families, &conf.asked, parts);
        match conf.timeout.map(|each| each.saturating_mul(count)) {
            None => running.await,
            Some(time) => tokio::time::timeout(time, running)
                .await
                .unwrap_or(Err(super::exchange::Trouble::Silent)),
        }
    }
}

impl Conf {
    /// `timeout` is what there is for one name, whatever the file says.
    fn new(conf: ResolvConf, timeout: Duration, caches: bool) -> Self {
        let mut how = How::within(timeout, conf.servers.len());
        how.rounds = conf.attempts.unwrap_or(how.rounds);
        how.rotate = conf.rotate;
        how.use_tcp = conf.use_tcp;
        // What glibc would take for one query.
        let count = u32::try_from(conf.servers.len() * how.rounds).unwrap_or(u32::MAX);
        let told = conf.timeout.map(|each| each.saturating_mul(count));
        let asked = Asked {
            servers: Arc::new(Servers::new(&conf.servers, how)),
            cache: caches.then(Arc::default),
            flights: Arc::default(),
        };
        Self {
            conf,
            asked,
            timeout: told,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers(asked) => f.debug_tuple("Servers").field(asked).finish(),
            Self::System(_) => f.write_str("System"),
        }
    }
}

fn as_given(name: &str) -> Candidate {
    Candidate {
        name: without_dot(name).to_owned(),
        is_as_given: true,
    }
}
