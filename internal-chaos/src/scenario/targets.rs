//! What the load talks to: the target, which answers transfers, echoes and checked loads, sites
//! that only accept, and name servers. Each may be closed and opened again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::origin::Watchman;
use super::ports::Ports;
use super::{TARGET, TARGET_NAME};
use crate::drill::transfer::Book;
use crate::host::Host;
use crate::names::NameServer;
use crate::workload::bulk::Request;
use crate::workload::checked::Ledger;
use crate::workload::serve::{self, Service};

/// Everything that listens. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Targets {
    host: Host,
    watchman: Watchman,
    book: Arc<Book>,
    ledger: Arc<Ledger>,
    pub(super) bulk: SocketAddr,
    pub(super) echo: SocketAddr,
    pub(super) checked: SocketAddr,
    sites: BTreeMap<String, SocketAddr>,
    /// What listens now.
    open: BTreeMap<String, Vec<JoinHandle<()>>>,
    resolvers: BTreeMap<String, NameServer>,
}

/// What is done with an accepted connection.
#[derive(Clone, Debug)]
enum Answer {
    Bulk(Arc<Book>),
    Service(Service, Arc<Ledger>),
    /// Nothing: it is closed.
    None,
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
            book: Arc::default(),
            ledger: Arc::default(),
            bulk: ports.take()?,
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

    /// Where transfers announce themselves.
    pub(super) fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// What checked uploads left at the target.
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
        let service = |service| Answer::Service(service, Arc::clone(&self.ledger));
        let services = if name == TARGET {
            vec![
                (self.bulk, Answer::Bulk(Arc::clone(&self.book))),
                (self.echo, service(Service::Echo)),
                (self.checked, service(Service::Checked)),
            ]
        } else {
            vec![(self.sites[name], Answer::None)]
        };
        let mut listening = Vec::new();
        for (address, answer) in services {
            let listener = self.host.spawn(TcpListener::bind(address)).await?;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            let watchman = self.watchman.clone();
            listening.push(self.host.spawn(accept(listener, answer, watchman)));
        }
        self.open.insert(name.to_owned(), listening);
        Ok(())
    }
}

async fn accept(listener: TcpListener, answer: Answer, watchman: Watchman) {
    // It ends with the system's descriptors or with its task.
    while let Ok((stream, peer)) = listener.accept().await {
        if matches!(answer, Answer::None) {
            continue;
        }
        if let Ok(own) = stream.local_addr() {
            watchman.look(peer, own);
        }
        let answer = answer.clone();
        // Connections outlive the listener. What breaks is the client's to report.
        tokio::spawn(async move {
            let _ = answer.give(stream).await;
        });
    }
}

impl Answer {
    async fn give(self, stream: TcpStream) -> anyhow::Result<()> {
        match self {
            Self::Bulk(book) => transfer(stream, &book).await,
            Self::Service(service, ledger) => serve::answer(service, stream, &ledger).await,
            Self::None => Ok(()),
        }
    }
}

async fn transfer(mut stream: TcpStream, book: &Book) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = [0; Request::LENGTH];
    stream.read_exact(&mut wire).await?;
    let transfer = Request::decode(&wire).and_then(|request| book.find(request));
    let transfer = transfer.context("nobody announced this transfer")?;
    Ok(transfer.serve(stream).await?)
}
