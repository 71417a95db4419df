//! The accepting side of sessions: an exit's.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::congestion::Signals;
use super::endpoint::{SessionSettings, endpoint, server_config};
use super::follow::{Following, follow};
use super::kick::Kicker;
use super::log::SessionLog;
use super::open::MeshView;
use crate::clock::unix_now;
use crate::config::Limits;
use crate::forward::Fib;
use crate::identity::{AgentId, Member, Refusal, ShortId, Trust, peer_certificate};
use crate::limit::{STRANGERS, Shares, Told};
use crate::link::patience;
use crate::task::{self, Served};
use crate::tunnel::failover::Failovers;
use crate::tunnel::path::probe::ProbeKey;
use crate::tunnel::path::timing::Timing;
use crate::tunnel::side::Side;
use crate::tunnel::socket::address::{short_id, virtual_addr};
use crate::tunnel::socket::outlet::Outlets;
use crate::tunnel::socket::prober::Prober;
use crate::tunnel::socket::virtual_socket::VirtualSocket;

/// Sessions handed over and not yet taken.
const HANDOVER: usize = 16;

/// How long the way back to a peer outlives its last session, at least.
const LINGER: Duration = Duration::from_secs(1);

/// A session that an ingress opened. Streams are accepted from `connection`.
pub struct AcceptedSession {
    pub connection: Connection,
    /// Whose it is, as the handshake has proven it.
    pub ingress: Arc<Member>,
}

/// Accepts sessions.
pub struct SessionListener<V> {
    endpoint: Endpoint,
    kicker: Arc<Kicker>,
    parts: Parts<V>,
}

/// What a [`SessionListener`] is made of.
pub(crate) struct Parts<V> {
    pub(crate) fib: Arc<Fib>,
    pub(crate) socket: Arc<VirtualSocket>,
    pub(crate) outlets: Arc<Outlets>,
    pub(crate) prober: Arc<Prober>,
    pub(crate) view: watch::Receiver<Arc<V>>,
    pub(crate) crypto: Arc<QuicServerConfig>,
    /// Who says which groups an ingress is of.
    pub(crate) trust: Arc<Trust>,
    pub(crate) limits: Limits,
    pub(crate) log: SessionLog,
    pub(crate) failovers: Failovers,
    pub(crate) timing: Timing,
}

/// A session with what its task needs to know.
struct Shaken {
    session: AcceptedSession,
    signals: Arc<Signals>,
}

/// How long the way to a peer outlives its last session: what the peer sends until it has heard of the
/// end is answered by a word of the end, too.
pub(crate) fn linger(session: &Connection) -> Duration {
    LINGER.max(session.rtt() * 2)
}

impl<V: MeshView> SessionListener<V> {
    pub(crate) fn new(parts: Parts<V>, settings: SessionSettings) -> io::Result<Self> {
        let config = server_config(
            parts.crypto.clone(),
            settings,
            Arc::default(),
            parts.limits.pending_handshakes,
        );
        let endpoint = endpoint(parts.socket.clone(), Some(config))?;
        Ok(Self {
            kicker: Kicker::new(endpoint.clone(), parts.socket.clone()),
            endpoint,
            parts,
        })
    }

    /// Accepts until the endpoint closes. `settings` tells what a session with that ingress may
    /// use now.
    pub fn accept(
        self: Arc<Self>,
        settings: impl Fn(ShortId) -> SessionSettings + Send + Sync + 'static,
    ) -> mpsc::Receiver<AcceptedSession> {
        let (accepted, sessions) = mpsc::channel(HANDOVER);
        let open = Arc::new(Semaphore::new(self.parts.limits.sessions));
        let places = self.parts.limits.pending_handshakes;
        let pending = Shares::new(places, STRANGERS);
        let told = Arc::new(Told::default());
        // Whoever takes the sessions notices that it has ended: nobody else holds the sender.
        task::serve(Served::Session, async move {
            while let Some(incoming) = self.endpoint.accept().await {
                let Some(source) = short_id(incoming.remote_address()) else {
                    incoming.ignore();
                    continue;
                };
                // Half full: only who is where its packets say it is may take the rest (RFC 9000 section
                // 8.1.2). Whoever has a link token can write any source.
                if pending.taken() >= places / 2 && !incoming.remote_address_validated() {
                    // It has not been validated, so it may be.
                    let _ = incoming.retry();
                    continue;
                }
                // Nothing is authenticated yet: a handshake takes no session's place.
                let Some(handshake) = pending.take(source) else {
                    debug!(%source, "session refused: too many handshakes");
                    incoming.refuse();
                    continue;
                };
                let open = open.clone();
                let (listener, accepted) = (self.clone(), accepted.clone());
                let told = told.clone();
                let settings = settings(source);
                task::serve(Served::Session, async move {
                    let shaken = listener.shake_hands(incoming, settings).await;
                    drop(handshake);
                    let shaken = match shaken {
                        Ok(shaken) => shaken,
                        Err(reason) => return refused(&told, source, &reason),
                    };
                    match open.try_acquire_owned() {
                        Ok(_slot) => listener.serve(shaken, accepted).await,
                        Err(_) => {
                            refused(&told, source, "limits.sessions reached");
                            let connection = &shaken.session.connection;
                            connection.close(0u32.into(), b"limits.sessions reached");
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
    ) -> Result<Shaken, String> {
        let rtt = Some(settings.rtt).filter(|rtt| !rtt.is_zero());
        let within = patience(self.parts.limits.handshake_timeout, rtt);
        let signals = Arc::new(Signals::default());
        let config = server_config(
            self.parts.crypto.clone(),
            settings,
            signals.clone(),
            self.parts.limits.pending_handshakes,
        );
        let connecting = incoming
            .accept_with(Arc::new(config))
            .map_err(|error| error.to_string())?;
        let connection = timeout(within, connecting)
            .await
            .map_err(|_| format!("no handshake within {within:?}"))?
            .map_err(|error| match Refusal::of(&error) {
                Some(refusal) => refusal.to_string(),
                None => error.to_string(),
            })?;
        let certificate = peer_certificate(&connection).map_err(|error| error.to_string())?;
        let id = certificate.id;
        if connection.remote_address() != virtual_addr(id.short()) {
            return Err(format!("{id} does not have the source id of its packets"));
        }
        let ingress = Arc::new(Member::new(&certificate, &self.parts.trust, unix_now()));
        Ok(Shaken {
            session: AcceptedSession {
                connection,
                ingress,
            },
            signals,
        })
    }

    /// Follows the session for as long as it lives.
    async fn serve(&self, shaken: Shaken, accepted: mpsc::Sender<AcceptedSession>) {
        let session = shaken.session;
        let (connection, ingress) = (session.connection.clone(), session.ingress.id);
        let ended = connection.clone();
        let Some(key) = ProbeKey::export(&connection).map(Arc::new) else {
            return warn!(%ingress, "session refused: no keying material");
        };
        let parts = &self.parts;
        let hold = parts.outlets.hold(ingress.short());
        let following = Following {
            ingress,
            connection,
            signals: shaken.signals,
            asked: parts.prober.register_accepted(key.clone(), ingress.short()),
            key: key.clone(),
            view: parts.view.clone(),
            fib: parts.fib.clone(),
            outlets: parts.outlets.clone(),
            prober: parts.prober.clone(),
            kicker: self.kicker.clone(),
            failovers: parts.failovers.clone(),
            timing: parts.timing,
        };
        info!(%ingress, "session accepted");
        parts.log.opened(Side::Exit, ingress);
        let reason = match accepted.send(session).await {
            Ok(()) => {
                let followed = task::contain(Served::Session, follow(following)).await;
                followed.unwrap_or_else(|| {
                    // Nobody would keep it on a live way back any more.
                    ended.close(0u32.into(), b"a defect of this agent");
                    "a defect of this agent".to_owned()
                })
            }
            Err(_) => "the agent stops".to_owned(),
        };
        debug!(%ingress, %reason, "session ended");
        parts.log.ended(Side::Exit, ingress, &reason);
        // What quinn still has to say (its last close) needs the way back.
        sleep(linger(&ended)).await;
        parts.prober.unregister(&key);
        drop(hold);
    }

    /// The hops that packets for `ingress` take now; empty if it has no session.
    pub fn way_back(&self, ingress: AgentId) -> Vec<ShortId> {
        let outlet = self.parts.outlets.active(ingress.short());
        outlet.map_or_else(Vec::new, |outlet| outlet.hops().to_vec())
    }

    /// Ends every session.
    pub fn close(&self, why: &str) {
        self.endpoint.close(0u32.into(), why.as_bytes());
    }
}

/// Tells the log. Whoever has a link token can ask for handshakes without end.
fn refused(told: &Told, source: ShortId, reason: &str) {
    if let Some(untold) = told.turn() {
        warn!(%source, reason, untold, "session refused");
    }
}
