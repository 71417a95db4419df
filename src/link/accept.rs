//! Links that neighbours dial.

use std::sync::Arc;

use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::ending::code;
use super::hello::{self, Introduction};
use super::opened::{LinkContext, Opened};
use super::patience::patience;
use super::run::run;
use super::transport::{Connection, LinkEndpoint, Visitor};
use crate::canonical;
use crate::clock;
use crate::config::Limits;
use crate::identity::AgentId;
use crate::limit::{Bucket, Network, Rates, Rule, STRANGERS, Shares, Told};
use crate::task::{self, Served};

/// Links in greeting, between handshake and hello, of one neighbour at a time: one it gave up that has not
/// timed out here, one of a restart, and one more.
const GREETINGS_EACH: usize = 3;

/// Those of everybody at a time. A greeting holds a connection with its buffers.
const GREETINGS: usize = 256;

/// Accepts links on `endpoint` until it closes, as many at once and a second as `limits` says.
pub async fn accept(context: Arc<LinkContext>, endpoint: LinkEndpoint, limits: Limits) {
    let pending = limits.pending_handshakes;
    let slots = Shares::new(pending, STRANGERS);
    let mut sources = Rates::per_second(limits.handshakes_per_source);
    let mut unproved = Bucket::per_second(limits.handshakes_per_second);
    let mut proved = unproved.clone();
    let (refused, checked) = (Arc::new(Told::default()), Arc::new(Told::default()));
    let greetings = Shares::new(GREETINGS, Rule::Most(GREETINGS_EACH));
    while let Some(visitor) = endpoint.accept().await {
        let remote = canonical::socket_address(visitor.remote());
        if context.links.is_closed() {
            visitor.refuse();
            continue;
        }
        if visitor.is_proved() {
            let now = clock::now();
            if !sources.take(Network::from(remote.ip()), now) || !proved.take(now) {
                // A refusal would end the dial; so it asks again.
                visitor.ignore();
                continue;
            }
        } else if slots.taken() >= pending.div_ceil(2) || !unproved.take(clock::now()) {
            // Half full or many in this second: only who proves its address may take the rest.
            visitor.ask_for_proof();
            continue;
        }
        let Some(slot) = slots.take(Network::from(remote.ip())) else {
            debug!(%remote, "link refused: too many handshakes");
            visitor.refuse();
            continue;
        };
        let (context, endpoint) = (context.clone(), endpoint.clone());
        let greetings = greetings.clone();
        let (refused, checked) = (refused.clone(), checked.clone());
        task::serve(Served::Link, async move {
            let shaken = shake_hands(&context, visitor).await;
            // Slots are few, because strangers take them. The neighbour has proved who it is; from here
            // on it can only hold up itself.
            drop(slot);
            let opened = match shaken {
                Ok((neighbor, connection)) => match greetings.take(neighbor) {
                    Some(_room) => greet(&context, &endpoint, neighbor, connection).await,
                    None => {
                        connection.close(code::FULL, "too many links in greeting");
                        Err(format!("{neighbor} has too many links in greeting"))
                    }
                },
                Err(reason) => Err(reason),
            };
            match opened {
                Ok(Some(opened)) => {
                    run(context, opened).await;
                }
                Ok(None) => {
                    if let Some(untold) = checked.turn() {
                        info!(%remote, untold, "link checked: the peer hung up in order");
                    }
                }
                Err(reason) => {
                    if let Some(untold) = refused.turn() {
                        warn!(%remote, %reason, untold, "link refused");
                    }
                }
            }
        });
    }
}

async fn shake_hands(
    context: &LinkContext,
    visitor: Visitor,
) -> Result<(AgentId, Connection), String> {
    let within = patience(context.handshake_timeout, None);
    let connection = timeout(within, visitor.shake_hands())
        .await
        .map_err(|_| format!("no handshake within {within:?}"))?
        .map_err(|end| end.describe())?;
    let certificate = connection.certificate();
    let neighbor = certificate.map_err(|error| error.to_string())?.id;
    if neighbor == context.own {
        return Err("it has this agent's own key".to_owned());
    }
    Ok((neighbor, connection))
}

/// `None`: the other side checked whether it could, and hung up.
async fn greet(
    context: &LinkContext,
    endpoint: &LinkEndpoint,
    neighbor: AgentId,
    connection: Connection,
) -> Result<Option<Opened>, String> {
    let mtu = connection.settled_mtu().await;
    let token_in = rand::random();
    let hello = context.hello(context.hello.cost);
    let own = Introduction {
        hello: &hello,
        token_in,
        message_limit: context.control_message,
        within: patience(context.handshake_timeout, Some(connection.rtt())),
    };
    let greeting = match hello::answer(&connection, own).await {
        Ok(greeting) => greeting,
        Err(error) if error.is_check() => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let adjacency = endpoint.adjacency(&connection, neighbor, greeting.token_out);
    Ok(Some(Opened {
        connection,
        neighbor,
        dialled: false,
        greeting,
        adjacency,
        token_in,
        cost: context.hello.cost,
        mtu,
    }))
}
