//! One live link: heartbeats, liveness, control messages, token rotation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, VarInt};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::control::{ControlReader, write_all};
use super::event::{DownReason, LinkEvent};
use super::hearing::Hearing;
use super::hello::Greeting;
use super::path_errors::{Onward, PathErrors};
use super::remote::RemoteChoice;
use super::table::{Candidate, LinkInfo, LinkNumber, Links, Verdict};
use super::text::printable;
use super::tokens::Tokens;
use super::voice::Voice;
use crate::clock;
use crate::forward::{Adjacency, Fib, Port, Remote};
use crate::identity::AgentId;
use crate::routing::{LinkState, Liveness};
use crate::wire::{ControlMessage, Hello, Token};

/// How long a leaving agent waits for its last messages to arrive.
const FAREWELL: Duration = Duration::from_millis(400);

/// Datagrams taken between two of our own heartbeats. An honest neighbour sends at most 500, at the
/// shortest heartbeat beside our longest; those that are not taken are missed by nobody. A packet
/// can hold 700 empty ones, so that a flood is cheap to send.
const DATAGRAMS: u32 = 64;

/// QUIC application error codes with which links close.
pub(super) mod code {
    /// The link ends in order.
    pub(crate) const GOODBYE: u32 = 0;
    /// Another link with the same neighbour is kept.
    pub(crate) const DUPLICATE: u32 = 1;
    /// Nothing was heard.
    pub(crate) const SILENT: u32 = 2;
    /// The other side broke the protocol.
    pub(crate) const VIOLATION: u32 = 3;
    /// Out of room.
    pub(crate) const FULL: u32 = 4;
}

/// What all links of an agent share.
pub struct LinkContext {
    pub own: AgentId,
    /// What we say first; `cost` is filled in per link.
    pub hello: Hello,
    pub heartbeat: Duration,
    pub dead_after: u32,
    pub handshake_timeout: Duration,
    pub control_message: usize,
    pub control_queue: usize,
    pub links: Arc<Links>,
    pub fib: Arc<Fib>,
    pub events: mpsc::Sender<LinkEvent>,
}

/// A connection whose neighbour was authenticated and said hello.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) neighbor: AgentId,
    pub(super) dialled: bool,
    pub(super) greeting: Greeting,
    pub(super) port: Arc<Port>,
    /// The token that we announced.
    pub(super) token_in: u64,
    pub(super) cost: u32,
    /// Largest UDP payload known to pass, bytes.
    pub(super) mtu: u16,
}

/// Why a link was not run, or how it ended.
#[derive(Debug)]
pub(super) enum Ended {
    Duplicate,
    Full,
    Down,
}

/// Runs a link until it ends.
pub(super) async fn run(context: Arc<LinkContext>, opened: Opened) -> Ended {
    let (outgoing, queue) = mpsc::channel(context.control_queue);
    let (end, ended) = watch::channel(None);
    let cost = opened.cost.max(opened.greeting.hello.cost).max(1);
    let candidate = Candidate {
        neighbor: opened.neighbor,
        dialled: opened.dialled,
        outgoing,
        end,
        info: link_info(&opened, cost),
    };
    let number = match context.links.admit(candidate) {
        Verdict::Kept(number) => number,
        Verdict::Duplicate => {
            close(&opened.connection, code::DUPLICATE, "duplicate link");
            return Ended::Duplicate;
        }
        Verdict::Full => {
            close(&opened.connection, code::FULL, "no room for another link");
            return Ended::Full;
        }
        Verdict::Closed => {
            let reason = DownReason::Stopping;
            close(&opened.connection, code::GOODBYE, &reason.to_string());
            return Ended::Down;
        }
    };
    let mut driver = Driver::start(context, opened, number, queue);
    driver.announce(cost).await;
    let reason = driver.run(ended).await;
    driver.finish(&reason).await;
    Ended::Down
}

fn link_info(opened: &Opened, cost: u32) -> LinkInfo {
    LinkInfo {
        display_name: opened.greeting.hello.display_name.clone(),
        remote: opened.connection.remote_address(),
        dialled: opened.dialled,
        state: LinkState::Up,
        cost,
        rtt: opened.connection.rtt(),
        mtu: opened.mtu,
        since: clock::now(),
        epoch: opened.greeting.hello.epoch,
    }
}

fn close(connection: &Connection, code: u32, why: &str) {
    connection.close(VarInt::from_u32(code), why.as_bytes());
}

struct Driver {
    context: Arc<LinkContext>,
    connection: Connection,
    neighbor: AgentId,
    epoch: u64,
    display_name: String,
    number: LinkNumber,
    voice: Voice,
    adjacency: Arc<Adjacency>,
    remote: RemoteChoice,
    reader: ControlReader,
    writer: JoinHandle<()>,
    liveness: Liveness,
    hearing: Hearing,
    /// Datagrams that will be taken until our next heartbeat.
    datagrams_left: u32,
    /// What `liveness` last knew.
    heard_last: Instant,
    tokens: Tokens,
    path_errors: PathErrors,
    mtu: u16,
    rtt: Duration,
}

impl Driver {
    fn start(
        context: Arc<LinkContext>,
        opened: Opened,
        number: LinkNumber,
        queue: mpsc::Receiver<ControlMessage>,
    ) -> Self {
        let now = clock::now();
        let Greeting {
            hello,
            token_out,
            send,
            recv,
        } = opened.greeting;
        let remote = remote_of(&opened.connection);
        let adjacency = Adjacency::new(opened.neighbor, opened.port, remote, token_out);
        let fib = context.fib.clone();
        let tokens = Tokens::admit(fib, adjacency.clone(), opened.token_in, now);
        // Not if another link has replaced this one meanwhile: its way must stay.
        context.links.while_kept(opened.neighbor, number, || {
            context.fib.insert(adjacency.clone());
        });
        let theirs = Duration::from_millis(u64::from(hello.heartbeat_ms));
        let liveness = Liveness::new(now, context.heartbeat, theirs, context.dead_after);
        let voice = Voice {
            links: context.links.clone(),
            events: context.events.clone(),
            neighbor: opened.neighbor,
            number,
        };
        Self {
            rtt: opened.connection.min_rtt(),
            connection: opened.connection,
            neighbor: opened.neighbor,
            epoch: hello.epoch,
            display_name: hello.display_name,
            number,
            voice,
            adjacency,
            remote: RemoteChoice::new(remote, theirs),
            reader: recv,
            writer: tokio::spawn(write_all(send, queue)),
            liveness,
            hearing: Hearing::new(now),
            datagrams_left: DATAGRAMS,
            heard_last: now,
            tokens,
            path_errors: PathErrors::new(),
            mtu: opened.mtu,
            context,
        }
    }

    async fn announce(&self, cost: u32) {
        info!(
            neighbor = %self.neighbor,
            name = %self.display_name,
            remote = %self.connection.remote_address(),
            cost,
            "link up"
        );
        self.voice
            .say(LinkEvent::Up {
                neighbor: self.neighbor,
                cost,
                rtt: self.rtt,
                mtu: self.mtu,
                epoch: self.epoch,
            })
            .await;
    }

    async fn run(&mut self, mut ended: watch::Receiver<Option<DownReason>>) -> DownReason {
        let mut heartbeat = interval(self.context.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.liveness.poll_timeout().unwrap_or_else(clock::now);
            tokio::select! {
                message = self.reader.next() => match message {
                    Ok(message) => {
                        self.heard();
                        if let Err(reason) = self.handle_message(message).await {
                            return reason;
                        }
                    }
                    Err(error) => return self.broken(error.to_string()),
                },
                datagram = self.connection.read_datagram(), if self.datagrams_left > 0 => match datagram {
                    Ok(_) => self.handle_heartbeat(),
                    Err(error) => return self.broken(error.to_string()),
                },
                _ = heartbeat.tick() => self.beat().await,
                () = sleep_until(wake.into()) => {
                    if let Some(reason) = self.check_liveness().await {
                        return reason;
                    }
                },
                _ = ended.changed() => {
                    let reason = ended.borrow_and_update().clone();
                    return reason.unwrap_or(DownReason::Stopping);
                },
            }
        }
    }

    fn heard(&mut self) {
        self.hearing.handle_authentic(clock::now());
    }

    fn handle_heartbeat(&mut self) {
        self.datagrams_left -= 1;
        self.heard();
        let seen = remote_of(&self.connection);
        let rtt = self.connection.rtt();
        if let Some(remote) = self.remote.handle_heartbeat(clock::now(), seen, rtt) {
            info!(neighbor = %self.neighbor, remote = %remote.address, "neighbour moved");
            self.context.fib.set_remote(&self.adjacency, remote);
        }
    }

    /// Names what ended the connection, if it did.
    fn broken(&self, error: String) -> DownReason {
        match self.connection.close_reason() {
            Some(quinn::ConnectionError::ApplicationClosed(closed))
                if closed.error_code == VarInt::from_u32(code::GOODBYE) =>
            {
                DownReason::Goodbye(printable(&String::from_utf8_lossy(&closed.reason)))
            }
            Some(reason) => DownReason::Closed(printable(&reason.to_string())),
            None => DownReason::Violation(error),
        }
    }

    async fn handle_message(&mut self, message: ControlMessage) -> Result<(), DownReason> {
        match message {
            ControlMessage::Hello(_) => {
                return Err(DownReason::Violation("a second hello".to_owned()));
            }
            ControlMessage::Token(Token { token }) => self.adjacency.set_token_out(token),
            ControlMessage::Goodbye(goodbye) => {
                return Err(DownReason::Goodbye(printable(&goodbye.reason)));
            }
            ControlMessage::PathError(error) => match self.path_errors.take(clock::now(), error) {
                Some(Onward::Here(error)) => {
                    let from = self.neighbor;
                    self.voice.say(LinkEvent::PathError { from, error }).await;
                }
                Some(Onward::To(next, error)) => {
                    if let Some(next) = self.context.fib.by_neighbor(next) {
                        let message = ControlMessage::PathError(error);
                        self.context.links.send_if_room(next.neighbor, message);
                    }
                }
                None => {}
            },
            message @ (ControlMessage::Flood(_)
            | ControlMessage::Digest(_)
            | ControlMessage::BucketSummary(_)
            | ControlMessage::Request(_)) => {
                let from = self.neighbor;
                self.voice.say(LinkEvent::Message { from, message }).await;
            }
        }
        Ok(())
    }

    async fn beat(&mut self) {
        self.datagrams_left = DATAGRAMS;
        // A heartbeat that does not fit now is one missed; the neighbour allows for it.
        let _ = self.connection.send_datagram(Bytes::new());
        if let Some(token) = self.tokens.rotate(clock::now()) {
            let message = ControlMessage::Token(token);
            self.context.links.send(self.neighbor, message);
        }
        // The smallest, because queues under load would make it jump and flood.
        let rtt = self.connection.min_rtt();
        let mtu = self.connection.stats().path.current_mtu;
        if mtu != self.mtu || changed_much(self.rtt, rtt) {
            self.rtt = rtt;
            self.mtu = mtu;
            self.voice
                .say(LinkEvent::Measured {
                    neighbor: self.neighbor,
                    rtt,
                    mtu,
                })
                .await;
        }
        let (rtt, remote) = (self.connection.rtt(), self.connection.remote_address());
        self.context
            .links
            .update(self.neighbor, self.number, |info| {
                info.rtt = rtt;
                info.mtu = mtu;
                info.remote = remote;
            });
    }

    async fn check_liveness(&mut self) -> Option<DownReason> {
        let packets = self.context.fib.last_heard(&self.adjacency);
        let heard = self.hearing.last(packets, self.liveness.deadline());
        if heard > self.heard_last {
            self.heard_last = heard;
            self.liveness.handle_received(heard);
        }
        self.liveness.handle_tick(clock::now());
        while let Some(state) = self.liveness.poll_event() {
            let on = match state {
                LinkState::Down => return Some(DownReason::Silent),
                LinkState::Suspect => true,
                LinkState::Up => false,
            };
            debug!(neighbor = %self.neighbor, suspect = on, "link suspicion");
            self.context
                .links
                .update(self.neighbor, self.number, |info| info.state = state);
            let neighbor = self.neighbor;
            self.voice.say(LinkEvent::Suspect { neighbor, on }).await;
        }
        None
    }

    async fn finish(self, reason: &DownReason) {
        let Self {
            context,
            connection,
            neighbor,
            voice,
            adjacency,
            writer,
            ..
        } = self;
        context.fib.remove(&adjacency);
        let text = reason.to_string();
        let event = LinkEvent::Down {
            neighbor,
            reason: reason.clone(),
        };
        if voice.end(&text, event).await {
            match reason {
                DownReason::Stopping => info!(%neighbor, reason = %text, "link down"),
                _ => warn!(%neighbor, reason = %text, "link down"),
            }
        }
        let code = match reason {
            DownReason::Stopping | DownReason::Goodbye(_) | DownReason::Closed(_) => code::GOODBYE,
            DownReason::Replaced => code::DUPLICATE,
            DownReason::Silent => code::SILENT,
            DownReason::Violation(_) | DownReason::Behind => code::VIOLATION,
        };
        let abort = writer.abort_handle();
        if *reason == DownReason::Stopping {
            // Removing the link closed its queue: the writer ends once the neighbour has it all.
            let _ = timeout(FAREWELL, writer).await;
        }
        abort.abort();
        close(&connection, code, &text);
    }
}

fn remote_of(connection: &Connection) -> Remote {
    Remote {
        address: connection.remote_address(),
        source: connection.local_ip(),
    }
}

/// More than a fifth: smaller changes are not worth an advertisement.
fn changed_much(old: Duration, new: Duration) -> bool {
    old.abs_diff(new) * 5 > old
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_much() {
        let ms = Duration::from_millis;
        assert!(!changed_much(ms(100), ms(120)));
        assert!(changed_much(ms(100), ms(121)));
        assert!(changed_much(ms(100), ms(79)));
    }
}
