//! What the load talks to: the target, which answers echoes and checked loads, sites
//! that only accept, and name servers. Each may be closed and opened again.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinHandle;

use super::origin::Watchman;
use super::{TARGET, TARGET_NAME};
use crate::host::Host;
use crate::names::NameServer;
use crate::ports::Ports;
use crate::workload::checked::Ledger;
use crate::workload::serve::{self, Service};

/// Everything that listens. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Targets {
    host: Host,
    watchman: Watchman,
    ledger: Arc<Ledger>,
    pub(super) echo: SocketAddr,
    pub(super) checked: SocketAddr,
    sites: BTreeMap<String, SocketAddr>,
    /// What listens now.
    open: BTreeMap<String, Vec<JoinHandle<io::Result<()>>>>,
    resolvers: BTreeMap<String, NameServer>,
}

impl Targets {
    /// Opens everything.
    pub(super) async fn open(
        sites: &[String],
        resolvers: &[String],
        ports: &Ports,
        watchman: &Watchman,
    ) -> anyhow::Result<Self> {
        let mut places = BTreeMap::new();
        for site in sites {
            places.insert(site.clone(), ports.take()?);
        }
        let mut servers = BTreeMap::new();
        for name in resolvers {
            let server = NameServer::start(&[(TARGET_NAME, std::net::Ipv4Addr::LOCALHOST)]);
            servers.insert(name.clone(), server.context("a name server cannot begin")?);
        }
        let mut targets = Self {
            host: Host::here("targets")?,
            watchman: watchman.clone(),
            ledger: Arc::default(),
            echo: ports.take()?,
            checked: ports.take()?,
            sites: places,
            open: BTreeMap::new(),
            resolvers: servers,
        };
        for name in sites.iter().map(String::as_str).chain([TARGET]) {
            targets.reopen(name).await?;
        }
        Ok(targets)
    }

    /// What loads and their target share.
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Where sites and name servers are.
    pub(super) fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let resolvers = self.resolvers.iter();
        let resolvers = resolvers.map(|(name, server)| (name.clone(), server.address()));
        self.sites.clone().into_iter().chain(resolvers).collect()
    }

    /// New connections are refused, open ones go on; a name server falls silent.
    pub(super) async fn close(&mut self, name: &str) {
        if let Some(server) = self.resolvers.get(name) {
            server.silence(true);
        }
        for listening in self.open.remove(name).into_iter().flatten() {
            listening.abort();
            // The socket is closed once the task is gone.
            let _ = listening.await;
        }
    }

    /// Undoes [`close`](Self::close).
    pub(super) async fn reopen(&mut self, name: &str) -> anyhow::Result<()> {
        if let Some(server) = self.resolvers.get(name) {
            server.silence(false);
            return Ok(());
        }
        let services = if name == TARGET {
            vec![(self.echo, Service::Echo), (self.checked, Service::Checked)]
        } else {
            vec![(self.sites[name], Service::Close)]
        };
        let mut listening = Vec::new();
        for (address, service) in services {
            let watchman = self.watchman.clone();
            let look = move |peer, own| watchman.look(peer, own);
            listening.push(serve::open(&self.host, address, service, &self.ledger, look).await?);
        }
        self.open.insert(name.to_owned(), listening);
        Ok(())
    }
}
