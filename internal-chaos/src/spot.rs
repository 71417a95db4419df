//! Where an agent stands: on loopback, on ports of its own, or in a network namespace, on the same
//! ports as all others.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::host::Host;
use crate::http;
use crate::netns::Netns;
use crate::ports::Ports;
use crate::process::{command_here, command_in};

/// Where every agent in a namespace is dialled.
pub const LINK_PORT: u16 = 4_433;

/// Where an agent listens.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub link: SocketAddr,
    pub http: SocketAddr,
    pub socks: SocketAddr,
}

/// Every agent in a namespace listens there, as seen from inside.
pub const INSIDE: Place = Place {
    link: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), LINK_PORT),
    http: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8_080),
    socks: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1_080),
};

/// Room for one agent and for what runs beside it.
#[derive(Debug)]
pub struct Spot {
    place: Place,
    /// A thread beside the agent. Before the namespace, which it holds.
    beside: Host,
    namespace: Option<Netns>,
}

impl Spot {
    /// On loopback.
    pub fn here(ports: &Ports) -> anyhow::Result<Self> {
        Ok(Self {
            place: Place {
                link: ports.take()?,
                http: ports.take()?,
                socks: ports.take()?,
            },
            beside: Host::here("beside")?,
            namespace: None,
        })
    }

    /// In a namespace.
    pub fn inside(namespace: Netns) -> anyhow::Result<Self> {
        Ok(Self {
            place: INSIDE,
            beside: Host::start(&namespace)?,
            namespace: Some(namespace),
        })
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// A thread beside the agent that little else runs on.
    pub fn beside(&self) -> &Host {
        &self.beside
    }

    /// Another thread there.
    pub fn host(&self, name: &str) -> anyhow::Result<Host> {
        match &self.namespace {
            Some(namespace) => Host::start(namespace),
            None => Host::here(name),
        }
    }

    /// A command that runs `program` there. Arguments added to it go to the program.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.namespace {
            Some(namespace) => command_in(namespace, program),
            None => command_here(program),
        }
    }

    /// Runs a shell script in its namespace; returns what it printed.
    pub fn script(&self, script: &str) -> anyhow::Result<String> {
        let namespace = self.namespace.as_ref();
        let namespace = namespace.context("loopback is not to be set up")?;
        Ok(namespace.script(script)?)
    }

    /// What the agent answers there to `GET path`, as JSON.
    pub async fn json(&self, path: &'static str, limit: Duration) -> anyhow::Result<Value> {
        let asking = timeout(limit, http::json(self.place.http, path));
        let answer = self.beside.spawn(asking).await?;
        answer.unwrap_or_else(|_| bail!("{path}: no answer within {limit:?}"))
    }
}
