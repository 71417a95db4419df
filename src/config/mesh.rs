//! The sections `listeners`, `peers`, `routing` and `connections`.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Problem;
use super::reader::Value;
use super::scalar::{self, quote, show_duration};
use super::secret::{self, PemKeys};
use super::section::Section;
use super::{Balance, Congestion, Connections, Drain, Listener, Peer, Reconnect, Routing};
use crate::identity::check_ca_pem;

/// Where an agent listens that has neither listeners nor peers in its file: as the examples do.
const DEFAULT_LISTENER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4433);

/// One hop costs 1; a sum over the longest path stays far inside a `u32`.
const COSTS: RangeInclusive<u32> = 1..=1_000_000;

/// Shorter intervals would flood the mesh, longer ones outlive any clock.
const ADVERTISE_INTERVALS: RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
const ROUTE_TTLS: RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_secs(7 * 24 * 3600);

/// A packet header carries at most 15 hops.
const HOPS: RangeInclusive<u8> = 1..=15;

/// Below 20 ms a busy CPU looks like a dead peer.
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(10);

/// Suspicion comes at 1.5 heartbeats and has to come before the end.
const DEAD_AFTER: RangeInclusive<u32> = 2..=100;

const DELAYS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

/// A download may take its day.
const DRAINS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

/// No balancer checks more rarely.
const NOTICES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);

/// 0 stands for no end.
const RETRIES: RangeInclusive<u32> = 0..=1_000_000;

const PEER_CA: PemKeys = PemKeys {
    file: "ca",
    text: "ca_pem",
    name: "peers[].tls.ca_pem",
    check: check_ca_pem,
};

/// Reads both, because each decides the other's default: an agent that dials need not listen.
pub(super) fn listeners_and_peers(document: &mut Section<'_>) -> (Vec<Listener>, Vec<Peer>) {
    let peers = peers(document);
    let given = document.items("listeners");
    let listeners = match &given {
        Some(items) => listeners(items),
        None if peers.given => Vec::new(),
        None => vec![Listener {
            address: DEFAULT_LISTENER,
        }],
    };
    if document.lacks("peers")
        && document.lacks("listeners")
        && let Some(value) = document.value("listeners")
    {
        value.invalid("neither listeners nor peers: the agent could never join a mesh; add one");
    }
    (listeners, peers.peers)
}

pub(super) fn routing(mut section: Section<'_>) -> Routing {
    let default = Routing::default();
    let balances = [
        ("lowest_metric", Balance::LowestMetric),
        ("round_robin", Balance::RoundRobin),
        ("least_streams", Balance::LeastStreams),
    ];
    let s = &mut section;
    let interval = s.duration("advertise_interval", ADVERTISE_INTERVALS);
    let ttl = s.duration("route_ttl", ROUTE_TTLS);
    let routing = Routing {
        advertise_interval: interval.unwrap_or(default.advertise_interval),
        route_ttl: ttl.unwrap_or(default.route_ttl),
        max_hops: s.number("max_hops", HOPS).unwrap_or(default.max_hops),
        balance: s.choice("balance", &balances).unwrap_or(default.balance),
        transit: s.flag("transit").unwrap_or(default.transit),
    };
    check_ttl(s, &routing);
    routing
}

pub(super) fn connections(mut section: Section<'_>) -> Connections {
    let default = Connections::default();
    let controllers = [("bbr", Congestion::Bbr), ("cubic", Congestion::Cubic)];
    Connections {
        heartbeat: section
            .duration("heartbeat", HEARTBEATS)
            .unwrap_or(default.heartbeat),
        dead_after: section
            .number("dead_after", DEAD_AFTER)
            .unwrap_or(default.dead_after),
        congestion: section
            .choice("congestion", &controllers)
            .unwrap_or(default.congestion),
        reconnect: reconnect(section.section("reconnect")),
    }
}

pub(super) fn drain(mut section: Section<'_>) -> Drain {
    let default = Drain::default();
    Drain {
        timeout: section
            .duration("timeout", DRAINS)
            .unwrap_or(default.timeout),
        notice: section
            .duration("notice", NOTICES)
            .unwrap_or(default.notice),
    }
}

/// What was found under `peers`.
struct Peers {
    /// Whether there is an entry, faulty ones counted.
    given: bool,
    peers: Vec<Peer>,
}

fn peers(document: &mut Section<'_>) -> Peers {
    let items = document.items("peers").unwrap_or_default();
    let given = !items.is_empty();
    let mut seen = HashMap::new();
    let mut peers = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let mut section = item.section();
        let peer = peer(&mut section);
        let Some(peer) = peer else { continue };
        if let Some(first) = seen.insert(peer.id, index)
            && let Some(value) = section.value("id")
        {
            value.invalid(format!("the same id as peers[{first}]; name a peer once"));
        }
        peers.push(peer);
    }
    Peers { given, peers }
}

fn peer(section: &mut Section<'_>) -> Option<Peer> {
    transport(section);
    let id = section.require("id", "the peer's agent id, 32 hex digits", scalar::agent_id);
    let address = section.require("address", "the peer's host:port", scalar::dial_address);
    let cost = section.number("cost", COSTS).unwrap_or(1);
    let ca = secret::pem(&mut section.section("tls"), &PEER_CA);
    Some(Peer {
        id: id?,
        address: address?,
        cost,
        ca,
    })
}

fn listeners(items: &[Value<'_>]) -> Vec<Listener> {
    let mut seen = HashMap::new();
    let mut listeners = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut section = item.section();
        transport(&mut section);
        let address = section.require("address", "ip:port or :port", scalar::listen_address);
        let Some(address) = address else { continue };
        // Port 0 is another port every time.
        if address.port() != 0
            && let Some(first) = seen.insert(address, index)
            && let Some(value) = section.value("address")
        {
            value.invalid(format!("{address} is already listeners[{first}]"));
        }
        listeners.push(Listener { address });
    }
    listeners
}

/// There is one transport, so the key is checked and not kept.
fn transport(section: &mut Section<'_>) {
    let checked = |text: &str| match text {
        "quic" => Ok(()),
        "tls" => Err("tls is not supported yet; use quic".to_owned()),
        _ => Err(format!("{} is not a transport; use quic", quote(text))),
    };
    section.parse("transport", "a transport", checked);
}

/// An advertisement that dies before it is refreshed would make every route flap.
fn check_ttl(section: &mut Section<'_>, routing: &Routing) {
    let (ttl, interval) = (routing.route_ttl, routing.advertise_interval);
    if ttl > interval {
        return;
    }
    let value = section
        .value("route_ttl")
        .or_else(|| section.value("advertise_interval"));
    if let Some(value) = value {
        value.invalid(format!(
            "route_ttl ({}) must be longer than advertise_interval ({}), or routes expire before \
             they are refreshed",
            show_duration(ttl),
            show_duration(interval)
        ));
    }
}

fn reconnect(mut section: Section<'_>) -> Reconnect {
    let default = Reconnect::default();
    let s = &mut section;
    let max_retries = s.number("max_retries", RETRIES);
    let reconnect = Reconnect {
        initial_delay: s
            .duration("initial_delay", DELAYS)
            .unwrap_or(default.initial_delay),
        max_delay: s.duration("max_delay", DELAYS).unwrap_or(default.max_delay),
        multiplier: s
            .number("multiplier", 1.0..=100.0)
            .unwrap_or(default.multiplier),
        jitter: s.number("jitter", 0.0..=1.0).unwrap_or(default.jitter),
        max_retries: max_retries.filter(|retries| *retries != 0),
    };
    if reconnect.max_delay < reconnect.initial_delay {
        let value = s.value("max_delay").or_else(|| s.value("initial_delay"));
        let problem = format!(
            "max_delay ({}) is shorter than initial_delay ({})",
            show_duration(reconnect.max_delay),
            show_duration(reconnect.initial_delay)
        );
        if let Some(value) = value {
            value.report(Problem::Invalid(problem));
        }
    }
    reconnect
}
