//! What an agent does, as services: each owns its tasks, is started once, is told when the agent
//! drains and when it is not to any more, and is ended in order.

mod control;
mod exit;
mod http;
mod ingress;
mod links;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::warn;

use super::bind::{Sockets, bind_tcp};
use super::control::Command;
use super::distrust::Distrust;
use super::error::StartError;
use super::parts::Parts;
use super::request::Desk;
use super::revoke_file::RevokeFile;
use super::setup::{ControlEnds, Shared, link_context};
use crate::clock::unix_now;
use crate::config::Config;
use crate::exit::OwnListeners;
use crate::identity::{Credential, Identity, Trust};
use crate::link::DownReason;
use crate::task::{Running, Starter};
use crate::tunnel::AcceptedSession;
use control::ControlService;
use exit::ExitService;
use http::HttpService;
use ingress::IngressService;
use links::{LinkService, NewPeers};

/// What services are connected to beside what all share.
pub(super) struct Ends {
    pub(super) control: ControlEnds,
    /// Takes the sessions of an exit in its stead.
    pub(super) accepted: Option<mpsc::Sender<AcceptedSession>>,
    pub(super) desk: Desk,
}

/// What a configuration takes, got beforehand so that nothing of it can fail.
pub(super) struct Plan {
    peers: NewPeers,
    socks5: Option<TcpListener>,
    http: Option<TcpListener>,
    checks: NewPort,
}

/// What becomes of a port.
pub(super) enum NewPort {
    Same,
    Closed,
    Open(TcpListener),
}

/// The services of one agent, those that every agent has first.
pub(super) struct Services {
    control: ControlService,
    links: LinkService,
    exit: Option<ExitService>,
    ingress: Option<IngressService>,
    http: Option<HttpService>,
    _distrust: Running,
}

impl Services {
    /// Starts all that `parts` asks for, on bound ports.
    pub(super) fn start(
        parts: &Parts,
        sockets: Sockets,
        shared: &Shared,
        ends: Ends,
        starter: &Starter,
    ) -> Result<Self, StartError> {
        let own = OwnListeners::new(sockets.addresses());
        let (control, events) = ControlService::start(parts, shared, ends.control, starter);
        let context = Arc::new(link_context(parts, shared, events));
        let links = LinkService::start(parts, sockets.links, context, shared, starter)?;
        let commands = control.commands();
        let exit = ExitService::start(parts, shared, own, commands, ends.accepted, starter);
        let distrust = Distrust {
            trust: parts.trust.clone(),
            config: ends.desk.config.subscribe(),
            file: parts.config.revoke_file.clone().map(RevokeFile::new),
            links: shared.links.clone(),
            sessions: shared.tunnel.sessions.clone(),
            exit: exit.as_ref().map(|service| service.exit().clone()),
            commands: commands.clone(),
        };
        let distrust = starter.start("distrust", distrust.run());
        let own_exit = exit.as_ref().map(ExitService::exit);
        let ingress = sockets
            .socks5
            .and_then(|listener| IngressService::start(parts, shared, own_exit, listener, starter));
        let http = sockets.http.map(|server| {
            let ingress = ingress.as_ref().map(IngressService::ingress);
            let ports = (server, sockets.checks);
            HttpService::start(parts, shared, ports, ends.desk, ingress, own_exit, starter)
        });
        Ok(Self {
            control,
            links,
            exit,
            ingress,
            http,
            _distrust: distrust,
        })
    }

    /// Withdraws everything and says goodbye to all neighbours, with `reason`.
    pub(super) async fn say_goodbye(&self, reason: &str) {
        self.control.stop(reason).await;
    }

    /// Judges anew what certificates prove.
    pub(super) async fn trust_changed(&self) {
        self.control.trust_changed().await;
    }

    /// Waits until every link has said its last words.
    pub(super) async fn links_ended(&self) {
        self.links.stop().await;
    }

    /// Takes nothing new, and tells the mesh to go elsewhere. What is open lives on.
    pub(super) async fn close(&mut self) {
        self.control.drain(true).await;
        if let Some(exit) = &self.exit {
            exit.drain(true);
        }
        if let Some(ingress) = &mut self.ingress {
            ingress.close().await;
        }
    }

    /// The opposite. On an error nothing has changed.
    pub(super) async fn reopen(&mut self) -> Result<(), StartError> {
        // The only thing that can fail.
        if let Some(ingress) = &mut self.ingress {
            ingress.reopen().await?;
        }
        if let Some(exit) = &self.exit {
            exit.drain(false);
        }
        self.control.drain(false).await;
        Ok(())
    }

    /// Connections of clients and for ingresses, in whatever state.
    pub(super) fn connections(&self) -> usize {
        let clients = self.ingress.as_ref().map(IngressService::ingress);
        let clients = clients.map_or(0, |ingress| ingress.connections());
        clients
            + self
                .exit
                .as_ref()
                .map_or(0, |exit| exit.exit().connections())
    }

    /// Bytes that we sent in sessions and that their other ends have not delivered yet.
    pub(super) fn undelivered(&self) -> u64 {
        let up = self.ingress.as_ref().map_or(0, IngressService::undelivered);
        let down = self.exit.as_ref().map(ExitService::exit);
        up + down.map_or(0, |exit| exit.undelivered())
    }

    /// Resets what is open.
    pub(super) fn cut(&self) {
        if let Some(ingress) = &self.ingress {
            ingress.ingress().cut();
        }
        if let Some(exit) = &self.exit {
            exit.exit().cut();
        }
    }

    /// What `config` takes that may fail, with the `trust` that it asks for; nothing has changed yet.
    /// `before` is what counts now; `renews`: the agent will show another certificate.
    pub(super) async fn plan(
        &self,
        before: &Config,
        config: &Config,
        trust: &Trust,
        renews: bool,
    ) -> Result<Plan, StartError> {
        let socks5 = match (&before.socks5, &config.socks5) {
            (Some(before), Some(after)) if before.address != after.address => {
                Some(bind_tcp("socks5.address", after.address).await?)
            }
            _ => None,
        };
        let http = match (&before.http, &config.http) {
            (Some(before), Some(after)) if before.address != after.address => {
                Some(bind_tcp("http.address", after.address).await?)
            }
            _ => None,
        };
        let address = |config: &Config| config.http.as_ref().and_then(|http| http.agent_check);
        let checks = match (address(before), address(config)) {
            (before, after) if before == after => NewPort::Same,
            (_, Some(after)) => NewPort::Open(bind_tcp("http.agent_check", after).await?),
            (_, None) => NewPort::Closed,
        };
        let reconnect = &config.connections.reconnect;
        let trust_changed = before.allow != config.allow;
        Ok(Plan {
            peers: self
                .links
                .plan(&config.peers, reconnect, trust, trust_changed, renews)?,
            socks5,
            http,
            checks,
        })
    }

    /// The agent shows another certificate, by which its own exit knows it from now on.
    pub(super) fn renewed(&self, identity: &Identity, trust: &Trust) {
        if let Some(ingress) = &self.ingress {
            ingress.renewed(identity, trust);
        }
    }

    /// Goes by `config` from now on, as planned.
    pub(super) async fn apply(&mut self, config: &Config, plan: Plan) {
        self.links.take(plan.peers);
        if let (Some(http), Some(section)) = (&mut self.http, &config.http) {
            http.apply(section, plan.http, plan.checks).await;
        }
        if let Some(ingress) = &mut self.ingress {
            ingress.apply(config, plan.socks5).await;
        }
        self.apply_exit(config);
    }

    /// The same for what the exit goes by alone, which cannot fail.
    pub(super) fn apply_exit(&self, config: &Config) {
        if let (Some(exit), Some(section)) = (&self.exit, &config.exit) {
            let links = self.listeners().iter().copied();
            let own = links.chain(self.socks5()).chain(self.http());
            let own = own.chain(self.http.as_ref().and_then(HttpService::checks));
            exit.apply(section, OwnListeners::new(own));
        }
    }

    /// Ends what lives by a certificate that is not trusted any more.
    pub(super) fn judge(&self, trust: &Trust, shared: &Shared) {
        let now = unix_now();
        let refuse = |credential: &Credential| {
            let why = trust.refuses(credential, now)?.to_string();
            warn!(agent = %credential.id, why, "its links and sessions end: it is not trusted any more");
            Some(why)
        };
        shared
            .links
            .disconnect_where(|credential| refuse(credential).map(DownReason::Distrusted));
        if let Some(sessions) = &shared.tunnel.sessions {
            sessions.end_where(refuse);
        }
        if let Some(exit) = &self.exit {
            exit.exit().end_sessions_where(refuse);
        }
    }

    /// Where neighbours may dial us.
    pub(super) fn listeners(&self) -> &[SocketAddr] {
        self.links.listeners()
    }

    /// Requests to the control task go in here.
    pub(super) fn commands(&self) -> &mpsc::Sender<Command> {
        self.control.commands()
    }

    /// Where SOCKS5 is served.
    pub(super) fn socks5(&self) -> Option<SocketAddr> {
        self.ingress.as_ref().map(IngressService::address)
    }

    /// Where HTTP is served.
    pub(super) fn http(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpService::address)
    }
}
