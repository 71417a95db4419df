//! One live link: heartbeats, liveness, control messages, token rotation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::control::{ControlError, ControlReader, write_all};
use super::ending::{self, Closed};
use super::event::{DownReason, LinkEvent};
use super::hearing::Hearing;
use super::heartbeat::Heartbeats;
use super::hello::{Greeting, STOOD_STILL};
use super::opened::{LinkContext, Opened};
use super::path_errors::{Onward, PathErrors};
use super::remote::RemoteChoice;
use super::table::LinkNumber;
use super::tokens::Tokens;
use super::transport::Connection;
use super::voice::Voice;
use crate::canonical;
use crate::clock;
use crate::forward::Adjacency;
use crate::identity::AgentId;
use crate::routing::{LinkState, Liveness};
use crate::task::{self, Served};
use crate::text::reason;
use crate::wire::{ControlMessage, Token};

/// How long a leaving agent waits for its last messages to arrive: so long, or 1.5 round trips.
const FAREWELL: Duration = Duration::from_millis(400);

/// But no longer than this, as it ends within two seconds.
const LONGEST_FAREWELL: Duration = Duration::from_millis(1_000);

/// How long a neighbour may take to close a link whose control stream it has ended: the end may overtake
/// the word of why. So long, or three round trips.
const PARTING: Duration = Duration::from_secs(2);

/// Runs one link.
pub(super) struct Driver {
    context: Arc<LinkContext>,
    connection: Connection,
    neighbor: AgentId,
    epoch: u64,
    stood_still: bool,
    display_name: String,
    number: LinkNumber,
    voice: Voice,
    adjacency: Arc<Adjacency>,
    remote: RemoteChoice,
    reader: ControlReader,
    writer: JoinHandle<()>,
    liveness: Liveness,
    hearing: Hearing,
    heartbeats: Heartbeats,
    /// What `liveness` last knew.
    heard_last: Instant,
    tokens: Tokens,
    path_errors: PathErrors,
    /// The neighbour closed it for another link with us; it lives until that one takes its place,
    /// or until silence ends it.
    superseded: bool,
    /// The neighbour ended its control stream: when it must have closed the link.
    parting: Option<Instant>,
    mtu: u16,
    rtt: Duration,
}

impl Driver {
    pub(super) fn start(
        context: Arc<LinkContext>,
        opened: Opened,
        number: LinkNumber,
        queue: mpsc::Receiver<ControlMessage>,
    ) -> Self {
        let now = clock::now();
        let Greeting {
            hello, send, recv, ..
        } = opened.greeting;
        let adjacency = opened.adjacency;
        let remote = adjacency.remote();
        let fib = context.fib.clone();
        let tokens = Tokens::admit(fib, adjacency.clone(), opened.token_in, now);
        // Not if another link has replaced this one meanwhile: its way must stay.
        context.links.while_kept(opened.neighbor, number, || {
            context.fib.insert(adjacency.clone());
        });
        let theirs = Duration::from_millis(u64::from(hello.heartbeat_ms));
        let mut liveness = Liveness::new(now, context.heartbeat, theirs, context.dead_after);
        liveness.handle_rtt(opened.connection.rtt());
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
            stood_still: hello.features & STOOD_STILL != 0,
            display_name: hello.display_name,
            number,
            voice,
            adjacency,
            remote: RemoteChoice::new(remote, theirs),
            reader: recv,
            writer: task::serve(Served::Link, write_all(send, queue)),
            liveness,
            hearing: Hearing::new(now),
            heartbeats: Heartbeats::new(now),
            heard_last: now,
            tokens,
            path_errors: PathErrors::new(),
            superseded: false,
            parting: None,
            mtu: opened.mtu,
            context,
        }
    }

    /// Says that the link is up.
    pub(super) async fn announce(&self, cost: u32) {
        info!(
            neighbor = %self.neighbor,
            name = %self.display_name,
            remote = %canonical::socket_address(self.connection.remote().address),
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
                stood_still: self.stood_still,
            })
            .await;
    }

    /// Runs until the link is down, or `ended` says so; returns why.
    pub(super) async fn run(
        &mut self,
        mut ended: watch::Receiver<Option<DownReason>>,
    ) -> DownReason {
        let mut heartbeat = interval(Heartbeats::pace(self.context.heartbeat));
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wake = self.liveness.poll_timeout().unwrap_or_else(clock::now);
            let ask = self
                .heartbeats
                .ask_at(&self.liveness, self.connection.rtt());
            tokio::select! {
                message = self.reader.next(), if self.takes_messages() => match message {
                    Ok(message) => {
                        self.heard();
                        if let Err(reason) = self.handle_message(message).await {
                            return reason;
                        }
                    }
                    Err(error) => if let Some(reason) = self.handle_unread(&error) {
                        return reason;
                    },
                },
                datagram = self.connection.heartbeat(), if self.takes_datagrams() => match datagram {
                    Ok(payload) => if let Some(reason) = self.handle_heartbeat(&payload).await {
                        return reason;
                    },
                    Err(error) => if let Some(reason) = self.handle_closed(error.to_string()) {
                        return reason;
                    },
                },
                _ = heartbeat.tick() => self.beat().await,
                () = sleep_until(self.parting.unwrap_or(wake).into()), if self.is_parting() => {
                    return DownReason::Violation(ControlError::Ended.to_string());
                }
                () = sleep_until(ask.unwrap_or(wake).into()), if ask.is_some() => {
                    let payload = self.heartbeats.ask(clock::now());
                    self.send(payload);
                }
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

    /// Ends a suspicion without waiting for the next look; returns why the link is down, if it is.
    async fn handle_heartbeat(&mut self, payload: &[u8]) -> Option<DownReason> {
        if self.heartbeats.handle(payload) {
            self.send(Vec::new());
        }
        self.heard();
        let seen = self.connection.remote();
        let rtt = self.connection.rtt();
        if let Some(remote) = self.remote.handle_heartbeat(clock::now(), seen, rtt) {
            info!(neighbor = %self.neighbor, remote = %remote.address, "neighbour moved");
            self.context.fib.set_remote(&self.adjacency, remote);
        }
        self.check_liveness().await
    }

    fn takes_datagrams(&self) -> bool {
        self.heartbeats.takes() && !self.superseded
    }

    fn takes_messages(&self) -> bool {
        !self.superseded && self.parting.is_none()
    }

    fn is_parting(&self) -> bool {
        !self.superseded && self.parting.is_some()
    }

    /// No more messages come; returns why the link is down, if it is.
    fn handle_unread(&mut self, error: &ControlError) -> Option<DownReason> {
        if matches!(error, ControlError::Ended) && self.connection.end().is_none() {
            let grace = PARTING.max(self.connection.rtt() * 3);
            self.parting = Some(clock::now() + grace);
            return None;
        }
        self.handle_closed(error.to_string())
    }

    /// Nothing more will be heard on the connection; returns why the link is down, if it is.
    fn handle_closed(&mut self, error: String) -> Option<DownReason> {
        match ending::closed(&self.connection, error) {
            Closed::Down(reason) => Some(reason),
            Closed::Superseded => {
                debug!(neighbor = %self.neighbor, "the neighbour keeps another link");
                self.superseded = true;
                None
            }
        }
    }

    async fn handle_message(&mut self, message: ControlMessage) -> Result<(), DownReason> {
        match message {
            ControlMessage::Hello(_) => {
                return Err(DownReason::Violation("a second hello".to_owned()));
            }
            ControlMessage::Token(Token { token }) => self.adjacency.set_token_out(token),
            ControlMessage::Goodbye(goodbye) => {
                return Err(DownReason::Goodbye(reason(&goodbye.reason)));
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

    /// Sends a heartbeat.
    fn send(&self, payload: Vec<u8>) {
        // One that does not fit now is one missed; the neighbour allows for it.
        let _ = self.connection.send_heartbeat(payload);
    }

    async fn beat(&mut self) {
        let room = self.connection.longest_heartbeat();
        let payload = self.heartbeats.next(room);
        self.send(payload);
        if let Some(token) = self.tokens.rotate(clock::now()) {
            let message = ControlMessage::Token(token);
            self.context.links.send(self.neighbor, message);
        }
        // The smallest, because queues under load would make it jump and flood.
        let rtt = self.connection.min_rtt();
        let mtu = self.connection.mtu();
        if mtu != self.mtu || changed_much(self.rtt, rtt) {
            (self.rtt, self.mtu) = (rtt, mtu);
            let neighbor = self.neighbor;
            let measured = LinkEvent::Measured { neighbor, rtt, mtu };
            self.voice.say(measured).await;
        }
        let (rtt, remote) = (self.connection.rtt(), self.connection.remote().address);
        self.liveness.handle_rtt(rtt);
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
            let silence_ms = self.liveness.silence(clock::now()).as_millis();
            debug!(neighbor = %self.neighbor, suspect = on, %silence_ms, "link suspicion");
            self.context
                .links
                .update(self.neighbor, self.number, |info| info.state = state);
            let neighbor = self.neighbor;
            self.voice.say(LinkEvent::Suspect { neighbor, on }).await;
        }
        None
    }

    /// Takes the link out of all tables and closes it.
    pub(super) async fn finish(self, reason: &DownReason) {
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
        let abort = writer.abort_handle();
        if *reason == DownReason::Stopping {
            // Removing the link closed its queue: the writer ends once the neighbour has it all.
            let arrives = connection.rtt() * 3 / 2;
            let _ = timeout(arrives.clamp(FAREWELL, LONGEST_FAREWELL), writer).await;
        }
        abort.abort();
        connection.close(ending::code_of(reason), &text);
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
