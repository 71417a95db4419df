//! The ingress against real exits over real QUIC sessions, with SOCKS5 spoken by hand.

mod clients;
mod outcomes;
mod protocol;
mod retries;
mod waits;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::config::{Limits, Socks5, User};
use crate::exit::testing;
use crate::identity::{AgentId, DomainPattern, Member};
use crate::tunnel::testing::{Session, Sessions, session};
use clients::Client;

const FIRST: AgentId = AgentId([1; 16]);
const SECOND: AgentId = AgentId([2; 16]);
const OWN: AgentId = AgentId([3; 16]);

/// An address whose routes end in a panic.
const BROKEN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 66));

type Prefixes = Vec<(IpNet, Vec<AgentId>)>;

/// Routes as a list, best first.
#[derive(Default)]
struct Table {
    prefixes: Prefixes,
    domains: Vec<(DomainPattern, Vec<AgentId>)>,
    resolvers: Vec<AgentId>,
    /// Everything was routed lately.
    had: bool,
    /// There was a resolver lately; there is one again, and a domain route of nobody in reach, once
    /// `changed` is there.
    restarting: Option<DomainPattern>,
    /// Once it is there, takes the place of `prefixes`.
    changed: watch::Sender<Option<Prefixes>>,
}

impl Routes for Table {
    fn exits_for_ip(&self, ip: IpAddr) -> Vec<AgentId> {
        assert_ne!(ip, BROKEN, "a defect, as the test wants it");
        let changed = self.changed.borrow();
        let prefixes = changed.as_ref().unwrap_or(&self.prefixes);
        let found = prefixes.iter().find(|(net, _)| net.contains(&ip));
        found.map(|(_, exits)| exits.clone()).unwrap_or_default()
    }

    fn exits_for_domain(&self, name: &str) -> Vec<AgentId> {
        let found = self
            .domains
            .iter()
            .find(|(pattern, _)| pattern.matches(name));
        found.map(|(_, exits)| exits.clone()).unwrap_or_default()
    }

    fn is_owned(&self, name: &str) -> bool {
        let restarted = self.changed.borrow().is_some();
        let mut owned = self.restarting.iter().filter(|_| restarted);
        !self.exits_for_domain(name).is_empty()
            || self.had(Wanted::Domain(name))
            || owned.any(|pattern| pattern.matches(name))
    }

    fn resolvers(&self, _: &str) -> Vec<AgentId> {
        match self.restarting.is_some() && self.changed.borrow().is_none() {
            true => Vec::new(),
            false => self.resolvers.clone(),
        }
    }

    fn had(&self, wanted: Wanted<'_>) -> bool {
        self.had || self.restarting.is_some() && matches!(wanted, Wanted::Resolver(_))
    }

    async fn wait_for<T: Send>(&self, mut found: impl FnMut() -> Option<T> + Send) -> Option<T> {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = found() {
                return Some(found);
            }
            changed.changed().await.ok()?;
        }
    }
}

/// A mesh in pieces: set it up, then `start` it.
struct Bed {
    table: Table,
    sessions: Sessions,
    keep: Vec<Session>,
    own: Option<OwnExit>,
    config: Socks5,
    limits: Limits,
    patience: Patience,
}

/// A running ingress.
struct Running {
    ingress: Arc<Ingress<Arc<Sessions>, Table>>,
    sessions: Arc<Sessions>,
    address: SocketAddr,
    _keep: Vec<Session>,
}

impl Bed {
    fn new() -> Self {
        Self {
            table: Table::default(),
            sessions: Sessions::default(),
            keep: Vec::new(),
            own: None,
            config: Socks5 {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                users: None,
                max_connections: 100,
                route_wait: Duration::ZERO,
                resolvers: Vec::new(),
                balancers: Vec::new(),
            },
            limits: Limits::default(),
            patience: Patience {
                one_of_many: Duration::from_millis(400),
                resolver: Duration::from_millis(400),
                ..Patience::default()
            },
        }
    }

    /// One exit that owns the loopback network.
    async fn with_loopback_exit() -> Self {
        let mut bed = Self::new();
        let config = testing::config(&["127.0.0.0/8"], &[], vec![]);
        bed.exit(FIRST, &config).await;
        bed.route("127.0.0.0/8", &[FIRST]);
        bed
    }

    /// A live exit.
    async fn exit(&mut self, id: AgentId, config: &config::Exit) -> Arc<Exit> {
        let exit = testing::exit(config);
        let session = session().await;
        let member = Member::with_id(OWN).into();
        let serving = exit.clone().serve_connection(session.exit.clone(), member);
        tokio::spawn(serving);
        self.sessions.live.insert(id, session.opening().clone());
        self.keep.push(session);
        exit
    }

    fn route(&mut self, prefix: &str, exits: &[AgentId]) {
        let prefix = prefix.parse().unwrap();
        self.table.prefixes.push((prefix, exits.to_vec()));
    }

    fn domain(&mut self, pattern: &str, exits: &[AgentId]) {
        let pattern = pattern.parse().unwrap();
        self.table.domains.push((pattern, exits.to_vec()));
    }

    fn users(&mut self, users: Vec<User>) {
        self.config.users = Some(users);
    }

    async fn start(self) -> Running {
        let sessions = Arc::new(self.sessions);
        let ingress = Ingress::new(
            &self.config,
            &self.limits,
            Checks::new(self.limits.password_checks, self.limits.password_queue),
            sessions.clone(),
            self.table,
            self.own,
            StreamTable::new(),
        );
        let ingress = Arc::new(ingress.with_patience(self.patience));
        let listener = TcpListener::bind(self.config.address).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(ingress.clone().run(listener, std::future::pending()));
        Running {
            ingress,
            sessions,
            address,
            _keep: self.keep,
        }
    }
}

impl Running {
    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A client past the greeting without authentication.
    async fn greeted(&self) -> Client {
        let mut client = self.client().await;
        client.send(&[5, 1, 0]).await;
        assert_eq!(client.receive(2).await, [5, 0]);
        client
    }

    /// Asks for an address; the reply code and the client.
    async fn ask(&self, address: SocketAddr) -> (u8, Client) {
        let mut client = self.greeted().await;
        client.send(&clients::request_address(1, address)).await;
        (client.reply().await.0, client)
    }

    /// Asks for a name.
    async fn ask_name(&self, name: &str, port: u16) -> (u8, Client) {
        let mut client = self.greeted().await;
        client.send(&clients::request_name(name, port)).await;
        (client.reply().await.0, client)
    }
}

/// What the metrics page would count.
fn asked(running: &Running) -> HashMap<AgentId, usize> {
    let mut counts = HashMap::new();
    for exit in running.sessions.asked.borrow().iter() {
        *counts.entry(*exit).or_default() += 1;
    }
    counts
}
