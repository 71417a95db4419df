//! What an agent does, as services: each owns its tasks, is started once, is told when the agent
//! drains and when it is not to any more, and is ended in order.

mod control;
mod exit;
mod http;
mod ingress;
mod links;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::bind::Sockets;
use super::distrust::Distrust;
use super::error::StartError;
use super::parts::Parts;
use super::request::Desk;
use super::revoke_file::RevokeFile;
use super::setup::{ControlEnds, Shared, link_context};
use crate::exit::OwnListeners;
use crate::task::{Running, Starter};
use crate::tunnel::AcceptedSession;
use control::ControlService;
use exit::ExitService;
use http::HttpService;
use ingress::IngressService;
use links::LinkService;

/// What services are connected to beside what all share.
pub(super) struct Ends {
    pub(super) control: ControlEnds,
    /// Takes the sessions of an exit in its stead.
    pub(super) accepted: Option<mpsc::Sender<AcceptedSession>>,
    pub(super) desk: Desk,
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
            listed: parts.config.revoke.clone(),
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
            HttpService::start(parts, shared, server, ends.desk, ingress, own_exit, starter)
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

    /// Where neighbours may dial us.
    pub(super) fn listeners(&self) -> &[SocketAddr] {
        self.links.listeners()
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
