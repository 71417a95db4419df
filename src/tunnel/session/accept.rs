//! The accepting side of sessions: an exit's.

use std::io;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::admission::{Admission, Verdict};
use super::congestion::Signals;
use super::endpoint::{endpoint, server_config};
use super::follow::follow;
use super::hands::{Established, probe_key};
use super::kick::Kicker;
use crate::clock::{self, unix_now};
use crate::identity::{AgentId, Member, ShortId, Trust};
use crate::limit::{Rule, Shares, Told};
use crate::link::patience;
use crate::quic;
use crate::record::Side;
use crate::task::{self, Served};
use crate::tunnel::context::Context;
use crate::tunnel::sizes::SessionSettings;
use crate::tunnel::socket::address::{short_id, virtual_addr};
use crate::tunnel::socket::outlets::Outlets;
use crate::tunnel::socket::virtual_socket::VirtualSocket;

/// Sessions handed over and not yet taken.
const HANDOVER: usize = 16;

/// A session that an ingress opened. Streams are accepted from `connection`.
pub struct AcceptedSession {
    pub connection: Connection,
    /// Whose it is, as the handshake has proven it.
    pub ingress: Arc<Member>,
}

/// What accepting sessions takes.
pub struct Accepting {
    pub tls: Arc<rustls::ServerConfig>,
    /// The trust that `tls` judges by.
    pub trust: Arc<Trust>,
}

/// Accepts sessions.
pub struct SessionListener {
    context: Arc<Context>,
    endpoint: Endpoint,
    kicker: Arc<Kicker>,
    outlets: Arc<Outlets>,
    crypto: Arc<QuicServerConfig>,
    /// Who says which groups an ingress is of.
    trust: Arc<Trust>,
}

impl SessionListener {
    pub(crate) fn new(
        context: Arc<Context>,
        socket: Arc<VirtualSocket>,
        outlets: Arc<Outlets>,
        accepting: Accepting,
    ) -> io::Result<Self> {
        let Accepting { tls, trust } = accepting;
        // Of no ingress in particular: each handshake has its own.
        let settings = context.sizes.session(&context.view.borrow(), None);
        let crypto = quic::server(tls).map_err(io::Error::other)?;
        let pending = context.limits.pending_handshakes;
        let config = server_config(crypto.clone(), settings, Arc::default(), pending);
        let endpoint = endpoint(socket.clone(), Some(config))?;
        Ok(Self {
            kicker: Kicker::new(endpoint.clone(), socket),
            outlets,
            context,
            endpoint,
            crypto,
            trust,
        })
    }

    /// Accepts until the endpoint closes.
    pub fn accept(self: Arc<Self>) -> mpsc::Receiver<AcceptedSession> {
        let (accepted, sessions) = mpsc::channel(HANDOVER);
        // An ingress has one session, and for a moment those that it has just given up.
        let open = Shares::new(self.context.limits.sessions, Rule::Holders);
        let mut admission = Admission::new(&self.context.limits);
        let told = Arc::new(Told::default());
        // Whoever takes the sessions notices that it has ended: nobody else holds the sender.
        task::serve(Served::Session, async move {
            while let Some(incoming) = self.endpoint.accept().await {
                let Some(source) = short_id(incoming.remote_address()) else {
                    incoming.ignore();
                    continue;
                };
                // Nothing is authenticated yet: a handshake takes no session's place.
                let is_proved = incoming.remote_address_validated();
                let handshake = match admission.judge(source, is_proved, clock::now()) {
                    Verdict::Begin(place) => place,
                    Verdict::Prove => {
                        // It has not been validated, so it may be.
                        let _ = incoming.retry();
                        continue;
                    }
                    Verdict::Later => {
                        incoming.ignore();
                        continue;
                    }
                    Verdict::Refuse => {
                        debug!(%source, "session refused: too many handshakes");
                        incoming.refuse();
                        continue;
                    }
                };
                let open = open.clone();
                let (listener, accepted) = (self.clone(), accepted.clone());
                let told = told.clone();
                let context = &self.context;
                let settings = context.sizes.session_with(&context.view.borrow(), source);
                task::serve(Served::Session, async move {
                    let shaken = listener.shake_hands(incoming, settings).await;
                    drop(handshake);
                    let (session, signals) = match shaken {
                        Ok(shaken) => shaken,
                        Err(reason) => return refused(&told, source, &reason),
                    };
                    match open.take(session.ingress.id) {
                        Some(_slot) => listener.serve(session, signals, accepted).await,
                        None => {
                            refused(&told, source, "limits.sessions reached");
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
    ) -> Result<(AcceptedSession, Arc<Signals>), String> {
        let rtt = Some(settings.rtt).filter(|rtt| !rtt.is_zero());
        let within = patience(self.context.limits.handshake_timeout, rtt);
        let signals = Arc::new(Signals::default());
        let config = server_config(
            self.crypto.clone(),
            settings,
            signals.clone(),
            self.context.limits.pending_handshakes,
        );
        let connecting = incoming
            .accept_with(Arc::new(config))
            .map_err(|error| error.to_string())?;
        let connection = timeout(within, connecting)
            .await
            .map_err(|_| format!("no handshake within {within:?}"))?
            .map_err(|error| match quic::refusal(&error) {
                Some(refusal) => refusal.to_string(),
                None => error.to_string(),
            })?;
        let certificate = quic::peer_certificate(&connection).map_err(|error| error.to_string())?;
        let id = certificate.id;
        if connection.remote_address() != virtual_addr(id.short()) {
            return Err(format!("{id} does not have the source id of its packets"));
        }
        let ingress = Arc::new(Member::new(&certificate, &self.trust, unix_now()));
        let session = AcceptedSession {
            connection,
            ingress,
        };
        Ok((session, signals))
    }

    /// Follows the session for as long as it lives.
    async fn serve(
        &self,
        session: AcceptedSession,
        signals: Arc<Signals>,
        accepted: mpsc::Sender<AcceptedSession>,
    ) {
        let (connection, ingress) = (session.connection.clone(), session.ingress.id);
        let Some(key) = probe_key(&connection) else {
            return warn!(%ingress, "session refused: no keying material");
        };
        let prober = &self.context.prober;
        let asked = prober.register_accepted(key.clone(), ingress.short());
        let established = Arc::new(Established {
            context: self.context.clone(),
            side: Side::Exit,
            peer: ingress,
            connection,
            key,
            signals,
            outlets: self.outlets.clone(),
            _hold: self.outlets.hold(ingress.short()),
            kicker: self.kicker.clone(),
        });
        info!(%ingress, "session accepted");
        let followed = async {
            match accepted.send(session).await {
                Ok(()) => follow(established.clone(), asked).await,
                Err(_) => "the agent stops".to_owned(),
            }
        };
        established.attend(followed, || {}).await;
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

/// Tells the log. Whoever has a link token can ask for handshakes without end.
fn refused(told: &Told, source: ShortId, reason: &str) {
    if let Some(untold) = told.turn() {
        warn!(%source, reason, untold, "session refused");
    }
}
