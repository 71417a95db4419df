//! What path control wants done, done to one session.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use quinn::Connection;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::congestion::Signals;
use super::kick::Kicker;
use crate::clock;
use crate::identity::{AgentId, ShortId};
use crate::record::Side;
use crate::task::{self, Served};
use crate::tunnel::context::Context;
use crate::tunnel::path::probe::{Probe, ProbeKey};
use crate::tunnel::path::{News, Output, Traffic, Way};
use crate::tunnel::socket::flow::Flow;
use crate::tunnel::socket::outlet::Outlet;
use crate::tunnel::socket::outlets::{Hold, Outlets};
use crate::wire::packet::PacketType;

/// How long the way to a peer outlives its last session, at least.
const LINGER: Duration = Duration::from_secs(1);

const EXPORTER_LABEL: &[u8] = b"EXPORTER-warren-path-probe";

/// A session that shook hands.
pub(super) struct Established {
    pub(super) context: Arc<Context>,
    pub(super) side: Side,
    /// The other end.
    pub(super) peer: AgentId,
    pub(super) connection: Connection,
    pub(super) key: Arc<ProbeKey>,
    pub(super) signals: Arc<Signals>,
    pub(super) outlets: Arc<Outlets>,
    /// Of the way to the peer.
    pub(super) _hold: Hold,
    pub(super) kicker: Arc<Kicker>,
}

/// A session in the hands of its task.
pub(super) struct Hands {
    pub(super) session: Arc<Established>,
    pub(super) flow: Arc<Flow>,
    /// The latest failover's number.
    recorded: Option<u64>,
}

/// The key of a session's probes, the same at both ends, exported from its TLS (RFC 8446 section 7.5).
/// `None` before the handshake is done.
pub(super) fn probe_key(connection: &Connection) -> Option<Arc<ProbeKey>> {
    let mut secret = [0; 8 + 32];
    let exported = connection.export_keying_material(&mut secret, EXPORTER_LABEL, b"");
    exported.ok()?;
    Some(Arc::new(ProbeKey::from_secret(&secret)))
}

impl Established {
    /// Runs the session's task, and says when it began and why it ended; then `forget`s it.
    ///
    /// Afterwards the way to the peer is kept for a while: what the peer sends until it has heard of
    /// the end is answered by a word of the end, too, and what quinn still has to say (its last close)
    /// needs the way.
    pub(super) async fn attend(&self, task: impl Future<Output = String>, forget: impl FnOnce()) {
        let (context, connection) = (&self.context, &self.connection);
        let (side, peer) = (self.side, self.peer);
        context.log.opened(side, peer);
        let reason = task::contain(Served::Session, task).await;
        let reason = reason.unwrap_or_else(|| {
            // Nobody would keep it on a live path any more.
            connection.close(0u32.into(), b"a defect of this agent");
            "a defect of this agent".to_owned()
        });
        context.log.ended(side, peer, &reason);
        forget();
        sleep(LINGER.max(connection.rtt() * 2)).await;
        context.prober.unregister(&self.key);
    }

    /// Sends along that way from now on, and a copy along the mirror.
    pub(super) fn route(&self, active: &Way, mirror: Option<&Way>) {
        let outlet = |way| outlet(self.side, self.context.fib.own, way);
        let mirror = mirror.map(outlet);
        self.outlets.set(self.peer.short(), outlet(active), mirror);
    }
}

/// That way as this side's packets take it.
pub(super) fn outlet(side: Side, own: ShortId, way: &Way) -> Arc<Outlet> {
    let kind = match side {
        Side::Ingress => PacketType::ToExit,
        Side::Exit => PacketType::ToIngress,
    };
    Outlet::new(kind, own, &way.hops).within(way.width)
}

impl Hands {
    /// Takes over a session that has a path.
    pub(super) fn new(session: Arc<Established>) -> Self {
        let flow = session.outlets.flow(session.peer.short());
        Self {
            flow: flow.unwrap_or_else(|| Arc::new(Flow::new(clock::now()))),
            session,
            recorded: None,
        }
    }

    /// What packets tell now.
    pub(super) fn traffic(&self) -> Traffic {
        let rtt = self.session.connection.rtt();
        self.flow.traffic(rtt, self.session.signals.in_flight())
    }

    /// Whether a neighbour has a live link with us now.
    pub(super) fn has_link(&self) -> impl Fn(ShortId) -> bool + use<'_> {
        let fib = &self.session.context.fib;
        move |neighbor| fib.by_neighbor(neighbor).is_some()
    }

    /// Does what path control wants; why the session was closed, if it was.
    pub(super) fn flush(&mut self, mut next: impl FnMut() -> Option<Output>) -> Option<String> {
        while let Some(output) = next() {
            if let Output::Close(reason) = output {
                let connection = &self.session.connection;
                connection.close(1u32.into(), reason.as_bytes());
                return Some(reason.to_owned());
            }
            self.act(output);
        }
        None
    }

    fn act(&mut self, output: Output) {
        let session = &self.session;
        let context = &session.context;
        match output {
            Output::Route { active, mirror } => session.route(&active, mirror.as_ref()),
            Output::Probe {
                hops,
                sequence,
                flags,
                size,
            } => {
                let tag = session.key.tag;
                let probe = Probe {
                    tag,
                    sequence,
                    flags,
                };
                context.prober.send(&session.key, &hops, probe, size);
            }
            Output::Moved => session.signals.handle_move(),
            Output::Kick => {
                session.signals.make_room();
                session.kicker.kick();
            }
            Output::TakeRoom => session.signals.take_room(),
            Output::Forgive => self.flow.forgive(),
            // Full: others have failed just now, and this one will again.
            Output::Blame(avoid) => drop(context.failed_paths.try_send(avoid)),
            Output::WatchGap => drop(self.flow.take_gap()),
            Output::Record(failover) => self.recorded = Some(context.log.moved(failover)),
            Output::Settled => {
                if let Some(number) = self.recorded.take() {
                    context.log.recovered(number, self.flow.take_gap());
                }
            }
            Output::Tell(news) => tell(session.side, session.peer, &news),
            Output::Close(_) => {}
        }
    }
}

fn tell(side: Side, peer: AgentId, news: &News) {
    let (end, peer) = (side.as_str(), peer);
    match news {
        News::Doubted { why } => debug!(end, %peer, why, "path doubted"),
        News::Cleared => debug!(end, %peer, "path trusted again"),
        News::Overdrawn => debug!(end, %peer, "doubted too much: its word is not heeded"),
        News::Lost { cause, from } => {
            let cause = cause.as_str();
            warn!(exit = %peer, cause, %from, "session has no path");
        }
        News::Narrow(path) => {
            info!(exit = %peer, %path, "path too narrow: packets go in halves");
        }
        News::Wide => info!(exit = %peer, "path wide again"),
        News::BackupSilent(backup) => debug!(exit = %peer, %backup, "backup unanswered"),
    }
}
