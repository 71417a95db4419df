//! The accepting side of sessions: an exit's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::address::{short_id, virtual_addr};
use super::endpoint::{SessionSettings, endpoint, server_config};
use super::kick::Kicker;
use super::metrics::{Metrics, Side};
use super::outlet::Outlets;
use super::probe::ProbeKey;
use super::prober::Prober;
use super::virtual_socket::VirtualSocket;
use crate::config::Limits;
use crate::identity::{AgentId, Refusal, ShortId, peer_certificate};

/// Sessions handed over and not yet taken.
const HANDOVER: usize = 16;

/// How long the way back to a peer outlives its last session.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// A session that an ingress opened. Streams are accepted from `connection`.
pub struct AcceptedSession {
    pub connection: Connection,
    pub ingress: AgentId,
}

/// Accepts sessions.
pub struct SessionListener {
    endpoint: Endpoint,
    kicker: Arc<Kicker>,
    outlets: Arc<Outlets>,
    prober: Arc<Prober>,
    crypto: Arc<QuicServerConfig>,
    limits: Limits,
    metrics: Metrics,
}

impl SessionListener {
    pub(super) fn new(
        socket: Arc<VirtualSocket>,
        outlets: Arc<Outlets>,
        prober: Arc<Prober>,
        crypto: Arc<QuicServerConfig>,
        settings: SessionSettings,
        limits: Limits,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let config = server_config(crypto.clone(), settings, limits.pending_handshakes);
        let endpoint = endpoint(socket.clone(), Some(config))?;
        Ok(Self {
            kicker: Kicker::new(endpoint.clone(), socket),
            endpoint,
            outlets,
            prober,
            crypto,
            limits,
            metrics,
        })
    }

    /// Accepts until the endpoint closes. `settings` tells what a session with that ingress may
    /// use now.
    pub fn accept(
        self: Arc<Self>,
        settings: impl Fn(ShortId) -> SessionSettings + Send + Sync + 'static,
    ) -> mpsc::Receiver<AcceptedSession> {
        let (accepted, sessions) = mpsc::channel(HANDOVER);
        let open = Arc::new(Semaphore::new(self.limits.sessions));
        let pending = Arc::new(Semaphore::new(self.limits.pending_handshakes));
        tokio::spawn(async move {
            while let Some(incoming) = self.endpoint.accept().await {
                let Some(source) = short_id(incoming.remote_address()) else {
                    incoming.ignore();
                    continue;
                };
                // Nothing is authenticated yet: a handshake takes no session's place.
                let Ok(handshake) = pending.clone().try_acquire_owned() else {
                    debug!(%source, "session refused: too many handshakes");
                    incoming.refuse();
                    continue;
                };
                let open = open.clone();
                let (listener, accepted) = (self.clone(), accepted.clone());
                let settings = settings(source);
                tokio::spawn(async move {
                    let shaken = listener.shake_hands(incoming, settings).await;
                    drop(handshake);
                    let session = match shaken {
                        Ok(session) => session,
                        Err(reason) => return warn!(%source, %reason, "session refused"),
                    };
                    match open.try_acquire_owned() {
                        Ok(_slot) => listener.serve(session, accepted).await,
                        Err(_) => {
                            warn!(%source, "session refused: limits.sessions reached");
                            session
                                .connection
                                .close(0u32.into(), b"limits.sessions reached");
                        }
                    }
                });
            }
        });
        sessions
    }

    async fn shake_hands(
        &self,
        incoming: Incoming,
        settings: SessionSettings,
    ) -> Result<AcceptedSession, String> {
        let config = server_config(
            self.crypto.clone(),
            settings,
            self.limits.pending_handshakes,
        );
        let connecting = incoming
            .accept_with(Arc::new(config))
            .map_err(|error| error.to_string())?;
        let within = self.limits.handshake_timeout;
        let connection = timeout(within, connecting)
            .await
            .map_err(|_| format!("no handshake within {within:?}"))?
            .map_err(|error| match Refusal::of(&error) {
                Some(refusal) => refusal.to_string(),
                None => error.to_string(),
            })?;
        let ingress = peer_certificate(&connection)
            .map_err(|error| error.to_string())?
            .id;
        if connection.remote_address() != virtual_addr(ingress.short()) {
            return Err(format!(
                "{ingress} does not have the source id of its packets"
            ));
        }
        Ok(AcceptedSession {
            connection,
            ingress,
        })
    }

    /// Answers the session's probes for as long as it lives.
    async fn serve(&self, session: AcceptedSession, accepted: mpsc::Sender<AcceptedSession>) {
        let (connection, ingress) = (session.connection.clone(), session.ingress);
        let Some(key) = ProbeKey::export(&connection) else {
            return warn!(%ingress, "session refused: no keying material");
        };
        let key = Arc::new(key);
        let kicker = self.kicker.clone();
        let kick = Arc::new(move || kicker.kick());
        self.prober
            .register_accepted(key.clone(), ingress.short(), self.outlets.clone(), kick);
        info!(%ingress, "session accepted");
        self.metrics.opened(Side::Exit);
        if accepted.send(session).await.is_ok() {
            let reason = connection.closed().await;
            debug!(%ingress, %reason, "session ended");
        }
        self.metrics.ended(Side::Exit);
        // What quinn still has to say (its last close) needs the way back.
        sleep(LINGER).await;
        if self.prober.unregister(&key) {
            self.outlets.remove(ingress.short());
        }
    }

    /// The hops that packets for `ingress` take now; empty if it has no session.
    pub fn way_back(&self, ingress: AgentId) -> Vec<ShortId> {
        let outlet = self.outlets.active(ingress.short());
        outlet.map_or_else(Vec::new, |outlet| outlet.hops().to_vec())
    }

    /// Ends every session.
    pub fn close(&self, why: &str) {
        self.endpoint.close(0u32.into(), why.as_bytes());
    }
}
