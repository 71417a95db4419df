//! Serves the streams of one session: a request, its answer, then the relay.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use quinn::VarInt;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;
use tracing::debug;

use super::Exit;
use super::connect::{ConnectError, Dialled};
use super::dns::{ResolveError, Resolving};
use crate::identity::{AgentId, Member};
use crate::limit::Share;
use crate::names::Families;
use crate::record::{Side, StreamGuard};
use crate::task::{self, Served};
use crate::text::cut;
use crate::tunnel::{
    ExitStream, SessionStreams, TCP_RESET, receive_message, relay, reset_on_drop, send_message,
};
use crate::wire::{
    ConnectReply, ConnectStatus, ResolveReply, ResolveRequest, StreamRequest, Target, USEFUL_V4,
    USEFUL_V6,
};

/// A dial that takes longer is announced as pending. Far below the second after which an ingress
/// tries another exit, far above what most dials take.
const PENDING_AFTER: Duration = Duration::from_millis(200);

/// Most addresses of one name that an ingress is told; they fit a stream message.
const MAX_ADDRESSES: usize = 32;

/// Most bytes of a reason that an ingress is told; likewise.
const MAX_DETAIL: usize = 256;

/// Application error code of a stream whose request was not understood.
const BAD_REQUEST: VarInt = VarInt::from_u32(2);

/// Streams of one session that are begun before others get the thread. A member may have thousands wait to
/// be taken: an exit that began them all at once computed for up to 109 ms between two looks at its sockets
/// (release build, busy machine).
const AT_ONCE: u32 = 32;

impl Exit {
    /// Serves every stream that `peer`, whom the session's handshake has proven, opens on `connection`, until the session ends: at the latest
    /// when `peer` opens another.
    pub async fn serve_connection(
        self: Arc<Self>,
        connection: quinn::Connection,
        peer: Arc<Member>,
    ) {
        let (window, most) = (self.session_window, self.streams_per_session);
        let streams = SessionStreams::accepting(connection.clone(), window, most);
        self.sessions.enter(peer.clone(), &streams);
        let mut at_once = 0;
        while let Ok(stream) = streams.accept().await {
            at_once += 1;
            if at_once == AT_ONCE {
                at_once = 0;
                yield_now().await;
            }
            let (exit, place) = (self.clone(), self.place(peer.id));
            let peer = peer.clone();
            let serving = async move {
                // What happens before the relay is large and short-lived: it gets a box of its own.
                let Some(place) = place else {
                    return refuse(stream, &ConnectError::Busy).await;
                };
                let opening = Box::pin(exit.answer(stream, &peer, place));
                if let Some((tcp, stream, guard, _place)) = opening.await {
                    let end = relay(tcp, stream, &guard).await;
                    debug!(stream = ?guard.snapshot(), ?end, "stream ended");
                }
            };
            task::serve(Served::Stream, self.cut.guard(serving));
        }
        self.sessions.leave(peer.id, &connection);
    }

    /// Answers a stream's request; what is left to relay if it was a connect that succeeded. A name
    /// takes the place of a query instead of a connection's.
    async fn answer(
        &self,
        mut stream: ExitStream,
        peer: &Member,
        place: Share<AgentId>,
    ) -> Option<(TcpStream, ExitStream, StreamGuard, Share<AgentId>)> {
        let request = receive_message(&mut stream.recv);
        let target = match timeout(self.request_timeout, request).await {
            Ok(Ok(StreamRequest::Connect(request))) => request.target,
            Ok(Ok(StreamRequest::Resolve(request))) => {
                drop(place);
                self.answer_resolve(stream, peer.id, &request).await;
                return None;
            }
            Ok(Err(_)) | Err(_) => {
                self.metrics.bad_requests.inc();
                // Both fail only if the stream is gone already.
                let _ = stream.send.reset(BAD_REQUEST);
                let _ = stream.recv.stop(BAD_REQUEST);
                return None;
            }
        };
        match self.connect_for(&mut stream, peer, &target).await? {
            Ok(dialled) => {
                let accepted = self.accept(stream, peer.id, &target, dialled).await;
                accepted.map(|(tcp, stream, guard)| (tcp, stream, guard, place))
            }
            Err(error) => {
                refuse(stream, &error).await;
                None
            }
        }
    }

    /// Connects, and says so if it takes long; `None` if the ingress gave up meanwhile.
    async fn connect_for(
        &self,
        stream: &mut ExitStream,
        peer: &Member,
        target: &Target,
    ) -> Option<Result<Dialled, ConnectError>> {
        let mut connecting = pin!(self.connect(peer, target));
        if let Ok(result) = timeout(PENDING_AFTER, &mut connecting).await {
            return Some(result);
        }
        let pending = reply(ConnectStatus::Pending, None, String::new());
        send_message(&mut stream.send, &pending).await.ok()?;
        tokio::select! {
            result = connecting => Some(result),
            _ = stream.send.stopped() => None,
        }
    }

    async fn accept(
        &self,
        mut stream: ExitStream,
        peer: AgentId,
        target: &Target,
        Dialled { tcp, bound }: Dialled,
    ) -> Option<(TcpStream, ExitStream, StreamGuard)> {
        let guard = self
            .streams
            .open(Side::Exit, peer, None, target.to_string());
        let connected = reply(ConnectStatus::Connected, Some(bound), String::new());
        if send_message(&mut stream.send, &connected).await.is_err() {
            reset_on_drop(&tcp);
            return None;
        }
        Some((tcp, stream, guard))
    }

    async fn answer_resolve(
        &self,
        mut stream: ExitStream,
        peer: AgentId,
        request: &ResolveRequest,
    ) {
        let families = request.useful.map_or(Families::BOTH, |useful| {
            Families::useful(useful & USEFUL_V4 != 0, useful & USEFUL_V6 != 0)
        });
        let resolved = match self.resolve(peer, &request.name, families) {
            Ok(parts) if request.useful.is_some() => {
                self.tell_parts(&mut stream, parts).await;
                return;
            }
            Ok(parts) => parts.whole().await,
            Err(error) => Err(error),
        };
        let answer = match resolved {
            Ok(addresses) => found(addresses, false),
            Err(error) => failed(&error),
        };
        tell_last(&mut stream, &answer).await;
    }

    /// Tells each family's addresses as they come.
    async fn tell_parts(&self, stream: &mut ExitStream, mut parts: Resolving<'_>) {
        loop {
            let part = tokio::select! {
                part = parts.next() => part,
                // An ingress that left needs no answer.
                _ = stream.send.stopped() => return,
            };
            let answer = match part {
                Some(Ok(part)) if part.more => {
                    let answer = found(part.addresses, true);
                    if send_message(&mut stream.send, &answer).await.is_err() {
                        return;
                    }
                    continue;
                }
                Some(Ok(part)) => found(part.addresses, false),
                Some(Err(error)) => failed(&error),
                None => found(Vec::new(), false),
            };
            tell_last(stream, &answer).await;
            return;
        }
    }
}

fn found(mut addresses: Vec<IpAddr>, more: bool) -> ResolveReply {
    addresses.truncate(MAX_ADDRESSES);
    ResolveReply {
        addresses,
        error: None,
        more: more.then_some(true),
    }
}

fn failed(error: &ResolveError) -> ResolveReply {
    ResolveReply {
        addresses: Vec::new(),
        error: Some(cut(&error.to_string(), MAX_DETAIL).to_owned()),
        more: None,
    }
}

async fn tell_last(stream: &mut ExitStream, answer: &ResolveReply) {
    // An ingress that left needs no answer.
    if send_message(&mut stream.send, answer).await.is_ok() {
        let _ = stream.send.finish();
    }
}

async fn refuse(mut stream: ExitStream, error: &ConnectError) {
    let refusal = reply(
        error.status(),
        None,
        cut(&error.to_string(), MAX_DETAIL).to_owned(),
    );
    // An ingress that left needs no answer.
    if send_message(&mut stream.send, &refusal).await.is_ok() {
        let _ = stream.send.finish();
    }
    let _ = stream.recv.stop(TCP_RESET);
}

fn reply(status: ConnectStatus, bound: Option<SocketAddr>, detail: String) -> ConnectReply {
    ConnectReply {
        status,
        bound,
        detail,
    }
}
