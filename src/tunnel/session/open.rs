//! The opening side of sessions: an ingress's. One live session per exit, opened when first asked
//! for, shared by all its streams.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::{Connection, Endpoint};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::congestion::Signals;
use super::endpoint::{client_config, endpoint};
use super::hands::{Established, outlet, probe_key};
use super::kick::Kicker;
use super::steer::steer;
use crate::identity::{AgentId, Credential, SERVER_NAME};
use crate::link::patience;
use crate::quic;
use crate::record::Side;
use crate::routing::Path;
use crate::task::{self, Served};
use crate::tunnel::context::Context;
use crate::tunnel::path::{SessionInfo, Way};
use crate::tunnel::sizes::SessionSettings;
use crate::tunnel::socket::address::virtual_addr;
use crate::tunnel::socket::outlets::Outlets;
use crate::tunnel::socket::virtual_socket::VirtualSocket;
use crate::tunnel::stream::exit_stream::{OpenError, OpenStream};
use crate::tunnel::stream::notes::{ExitStream, SessionStreams};

/// Application error code of a session whose certificate counts no more.
const DISTRUSTED: quinn::VarInt = quinn::VarInt::from_u32(3);

/// Makes the TLS configuration for a session with an exit, which must have that id.
pub type SessionCrypto = dyn Fn(AgentId) -> Result<Arc<rustls::ClientConfig>, String> + Send + Sync;

/// Every session that this agent opened.
pub struct Sessions {
    context: Arc<Context>,
    endpoint: Endpoint,
    kicker: Arc<Kicker>,
    outlets: Arc<Outlets>,
    crypto: Box<SessionCrypto>,
    slots: Mutex<HashMap<AgentId, Slot>>,
}

/// A session, or one on its way that several callers wait for.
#[derive(Clone)]
enum Slot {
    Opening(watch::Receiver<Option<Result<Live, OpenError>>>),
    Live(Live),
}

#[derive(Clone)]
struct Live {
    connection: Connection,
    streams: SessionStreams,
    /// Of the certificate that the exit showed; `None`: it was not seen.
    credential: Option<Credential>,
    info: watch::Receiver<SessionInfo>,
}

impl Sessions {
    pub(crate) fn new(
        context: Arc<Context>,
        socket: Arc<VirtualSocket>,
        outlets: Arc<Outlets>,
        crypto: Box<SessionCrypto>,
    ) -> io::Result<Arc<Self>> {
        let endpoint = endpoint(socket.clone(), None)?;
        Ok(Arc::new(Self {
            kicker: Kicker::new(endpoint.clone(), socket),
            context,
            endpoint,
            outlets,
            crypto,
            slots: Mutex::default(),
        }))
    }

    /// Every live session.
    pub fn snapshot(&self) -> Vec<SessionInfo> {
        let slots = self.lock();
        let mut sessions: Vec<SessionInfo> = slots
            .values()
            .filter_map(|slot| match slot {
                Slot::Live(live) => Some(live.info.borrow().clone()),
                Slot::Opening(_) => None,
            })
            .collect();
        sessions.sort_by_key(|session| session.exit);
        sessions
    }

    /// Ends every session for whose exit's certificate `judge` has a reason.
    pub fn end_where(&self, judge: impl Fn(&Credential) -> Option<String>) {
        for slot in self.lock().values() {
            // One that is ending is told once.
            if let Slot::Live(live) = slot
                && live.connection.close_reason().is_none()
                && let Some(why) = live.credential.as_ref().and_then(&judge)
            {
                live.connection.close(DISTRUSTED, why.as_bytes());
            }
        }
    }

    /// Bytes that were sent in them and that the exits have not delivered yet.
    pub fn undelivered(&self) -> u64 {
        let slots = self.lock();
        let held = slots.values().map(|slot| match slot {
            Slot::Live(live) if live.connection.close_reason().is_none() => live.streams.held(),
            Slot::Live(_) | Slot::Opening(_) => 0,
        });
        held.sum()
    }

    /// The exits of sessions whose streams get less than they could use, because others hold so much
    /// that nobody reads.
    pub fn short_of_windows(&self) -> Vec<AgentId> {
        let slots = self.lock();
        let is_short = |slot: &Slot| match slot {
            Slot::Live(live) => live.streams.are_short(),
            Slot::Opening(_) => false,
        };
        let short = slots.iter().filter(|(_, slot)| is_short(slot));
        let mut exits: Vec<AgentId> = short.map(|(exit, _)| *exit).collect();
        exits.sort();
        exits
    }

    /// Ends every session.
    pub fn close(&self, why: &str) {
        self.endpoint.close(0u32.into(), why.as_bytes());
    }

    async fn session(self: &Arc<Self>, exit: AgentId) -> Result<Live, OpenError> {
        let mut waiting = match self.slot(exit) {
            Slot::Live(live) => return Ok(live),
            Slot::Opening(waiting) => waiting,
        };
        // The opening task always says how it ended, unless the runtime is going down.
        match waiting.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("waited for Some"),
            Err(_) => Err(OpenError::NoPath(exit)),
        }
    }

    /// The live session with `exit`, or the one on its way; starts one if there is neither.
    fn slot(self: &Arc<Self>, exit: AgentId) -> Slot {
        let mut slots = self.lock();
        match slots.get(&exit) {
            Some(Slot::Live(live)) if live.connection.close_reason().is_some() => {}
            Some(slot) => return slot.clone(),
            None => {}
        }
        let (done, waiting) = watch::channel(None);
        let slot = Slot::Opening(waiting);
        slots.insert(exit, slot.clone());
        let sessions = self.clone();
        task::serve(Served::Session, async move {
            let opened = task::contain(Served::Session, sessions.open_session(exit)).await;
            let outcome = opened.unwrap_or(Err(OpenError::NoPath(exit)));
            match &outcome {
                Ok(live) => drop(sessions.lock().insert(exit, Slot::Live(live.clone()))),
                Err(error) => {
                    debug!(%exit, %error, "session not opened");
                    sessions.lock().remove(&exit);
                }
            }
            done.send_replace(Some(outcome));
        });
        slot
    }

    async fn open_session(self: &Arc<Self>, exit: AgentId) -> Result<Live, OpenError> {
        let view = self.context.view.borrow().clone();
        let path = view
            .path_table()
            .best(exit)
            .ok_or(OpenError::NoPath(exit))?;
        let incarnation = view.incarnation(exit);
        let settings = self.context.sizes.session(&view, Some(path.exit()));
        let signals = Arc::new(Signals::default());
        let hold = self.outlets.hold(exit.short());
        let connection = tokio::select! {
            // The first packet needs a path.
            biased;
            () = self.follow_paths(exit) => Err(OpenError::NoPath(exit)),
            connected = self.connect(exit, settings, signals.clone()) => connected,
        }?;
        let session = Established {
            context: self.context.clone(),
            side: Side::Ingress,
            peer: exit,
            key: probe_key(&connection).ok_or(OpenError::NoPath(exit))?,
            connection: connection.clone(),
            signals,
            outlets: self.outlets.clone(),
            _hold: hold,
            kicker: self.kicker.clone(),
        };
        info!(%exit, hops = path.hops.len(), packet = settings.packet, "session opened");
        let (info, receiver) = watch::channel(SessionInfo::new(exit, path));
        let known = (incarnation, settings.packet);
        let (sessions, ended) = (self.clone(), connection.clone());
        let forget = move || sessions.forget(exit, &ended);
        let steering = steer(session, known, info, forget);
        task::serve(Served::Session, steering);
        let certificate = quic::peer_certificate(&connection).ok();
        Ok(Live {
            streams: SessionStreams::new(connection.clone(), settings.window.into()),
            connection,
            credential: certificate.map(|certificate| certificate.credential()),
            info: receiver,
        })
    }

    /// Sends a handshake along the best path and the alternate at once: it has no time to find out
    /// which of them is dead. Ends when there is no path.
    async fn follow_paths(&self, exit: AgentId) {
        let mut view = self.context.view.clone();
        let own = self.context.fib.own;
        let outlet = |path: &Path| outlet(Side::Ingress, own, &Way::of(path, path.mtu));
        loop {
            let current = view.borrow_and_update().clone();
            let Some(paths) = current.path_table().paths(exit) else {
                return;
            };
            let mirror = paths.alternate.as_ref().map(outlet);
            self.outlets.set(exit.short(), outlet(&paths.best), mirror);
            if view.changed().await.is_err() {
                return;
            }
        }
    }

    async fn connect(
        &self,
        exit: AgentId,
        settings: SessionSettings,
        signals: Arc<Signals>,
    ) -> Result<Connection, OpenError> {
        let within = patience(self.context.limits.handshake_timeout, Some(settings.rtt));
        let refused = |reason| OpenError::Refused { exit, reason };
        let tls = (self.crypto)(exit).map_err(refused)?;
        let crypto = quic::client(tls).map_err(|error| refused(error.to_string()))?;
        let connecting = self
            .endpoint
            .connect_with(
                client_config(crypto, settings, signals),
                virtual_addr(exit.short()),
                SERVER_NAME,
            )
            .map_err(|error| refused(error.to_string()))?;
        timeout(within, connecting)
            .await
            .map_err(|_| OpenError::TimedOut { exit })?
            .map_err(|source| match quic::refusal(&source) {
                Some(refusal) => {
                    warn!(%exit, %refusal, "session refused");
                    refused(refusal.to_string())
                }
                None => OpenError::Session { exit, source },
            })
    }

    /// Forgets a session that has ended, unless another has taken its place.
    pub(super) fn forget(&self, exit: AgentId, connection: &Connection) {
        let mut slots = self.lock();
        let ended = |slot: &Slot| match slot {
            Slot::Live(live) => live.connection.stable_id() == connection.stable_id(),
            Slot::Opening(_) => false,
        };
        if slots.get(&exit).is_some_and(ended) {
            slots.remove(&exit);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgentId, Slot>> {
        self.slots.lock().expect("no panic while locked")
    }
}

impl OpenStream for Arc<Sessions> {
    async fn open(&self, exit: AgentId) -> Result<ExitStream, OpenError> {
        let live = self.session(exit).await?;
        let opened = live.streams.open().await;
        opened.map_err(|source| OpenError::Session { exit, source })
    }

    fn round_trip(&self, exit: AgentId) -> Duration {
        let path = {
            let view = self.context.view.borrow();
            let path = view.path_table().best(exit);
            path.map_or(Duration::ZERO, |path| path.rtt())
        };
        match self.lock().get(&exit) {
            // What others of the session have queued is waited for, too.
            Some(Slot::Live(live)) => path.max(live.connection.rtt()),
            Some(Slot::Opening(_)) | None => path,
        }
    }

    async fn lost(&self, exit: AgentId) {
        let mut view = self.context.view.clone();
        // An error means that the agent stops, and its paths with it.
        let lost = view.wait_for(|view| !view.path_table().is_reachable(exit));
        drop(lost.await);
    }
}
