//! One real core that holds a whole mesh by itself: its memory, and what a change costs it. Nothing
//! is shared with anybody: every advertisement came as bytes.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use warren::identity::AgentId;
use warren::routing::{
    Avoid, Core, Graph, LinkMetrics, LinkUp, Now, PathTable, PrefixTable, RouteTable,
};
use warren::wire::{
    Advertisement, CertificateBytes, ControlMessage, Envelope, Flood, LinkAdv, LinkFlags, Neighbor,
    RouteAdv, RoutePrefix, SignedAdv, Stamp, decode_frame, encode_frame, rtt_class,
};

use crate::authority::{Fake, Notary, checksum};
use crate::figures::Single;
use crate::memory;
use crate::rng::Rng;
use crate::topology::{Edges, regular};
use crate::whole::{CERTIFICATE_BYTES, exits, prefixes_of};
use crate::world::{GENESIS_MS, id_of, settings};

/// Prefixes in one fragment, as `wire` bounds it.
const FRAGMENT: usize = 512;

/// Messages in a second of virtual time: below the limit on signatures.
const PER_SECOND: usize = 1_000;

/// Repetitions of what is timed.
const RUNS: usize = 11;

/// The core of agent 0, and its clock.
struct Alone {
    core: Core<Fake>,
    now: Now,
    from: AgentId,
    fed: usize,
}

/// Has another process of this program [`measure`].
pub(crate) fn in_child(agents: usize, seed: u64) -> anyhow::Result<Single> {
    let output = Command::new(std::env::current_exe()?)
        .args(["--alone", &agents.to_string(), "--seed", &seed.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "{agents} agents: {}",
        output.status
    );
    let single: Single = serde_json::from_slice(&output.stdout)?;
    println!(
        "single {agents}: links {} KB as they travel, {} KB resident, {} KB with 100,000 prefixes; \
         graph {:.2} ms, paths {:.2} ms, prefix tables {:.1} ms",
        single.wire_bytes / 1000,
        single.resident_bytes / 1000,
        single.resident_with_prefixes / 1000,
        single.graph_ms,
        single.paths_ms,
        single.tables_ms,
    );
    Ok(single)
}

/// Feeds a mesh of `agents` to one core.
pub(crate) fn measure(agents: usize, seed: u64) -> Single {
    let edges = regular(&mut Rng::new(seed), agents);
    let links = neighbors(agents, &edges);
    let before = memory::resident();
    let mut alone = Alone::new(&links);
    for (agent, links) in links.iter().enumerate().skip(1) {
        alone.feed(agent, Advertisement::Link(link_adv(agent, links)));
    }
    let wire_bytes = alone.core.database_bytes();
    let resident_bytes = memory::resident().saturating_sub(before);
    assert_eq!(alone.core.link_advs().count(), agents);

    for exit in exits(agents) {
        // Ours is a transit, so the agent after each exit stands in for it.
        for route in route_advs(exit, exit + 1, agents) {
            alone.feed(exit + 1, Advertisement::Route(route));
        }
    }
    let resident_with_prefixes = memory::resident().saturating_sub(before);

    let core = &alone.core;
    let own = id_of(0);
    let (graph_ms, graph) = timed(|| Arc::new(Graph::build(own, core.link_advs())));
    let (paths_ms, paths) = timed(|| PathTable::build(graph.clone(), 15, Avoid::default()));
    let paths = Arc::new(paths);
    let (tables_ms, table) = timed(|| {
        let prefixes = PrefixTable::build(core.route_advs().map(|(_, route)| route));
        RouteTable::new(Arc::new(prefixes), paths.clone())
    });
    black_box(table);
    let reached = (1..agents).filter(|agent| paths.is_reachable(id_of(*agent)));
    assert_eq!(reached.count(), agents - 1, "all are within reach");
    Single {
        agents,
        wire_bytes,
        resident_bytes,
        resident_with_prefixes,
        graph_ms,
        paths_ms,
        tables_ms,
    }
}

impl Alone {
    fn new(links: &[Vec<(usize, u32)>]) -> Self {
        let now = Now {
            instant: Instant::now(),
            unix_ms: GENESIS_MS,
        };
        let mut settings = settings();
        settings.id = id_of(0);
        settings.epoch = GENESIS_MS;
        // Nothing expires while it is fed.
        settings.advertise_interval = Duration::from_secs(3_600);
        settings.route_ttl = Duration::from_secs(7_200);
        let authority = Fake::new(settings.id, CERTIFICATE_BYTES, &Notary::default());
        let mut alone = Self {
            core: Core::new(now, settings, authority),
            now,
            from: id_of(links[0][0].0),
            fed: 0,
        };
        for (neighbor, cost) in &links[0] {
            let metrics = LinkMetrics {
                cost: *cost,
                rtt_us: 1_000,
                mtu: 1_400,
            };
            let link_up = LinkUp {
                neighbor: id_of(*neighbor),
                metrics,
                peer_epoch: GENESIS_MS,
            };
            alone.core.handle_link_up(now, link_up);
        }
        alone
    }

    fn feed(&mut self, origin: usize, adv: Advertisement) {
        self.fed += 1;
        if self.fed.is_multiple_of(PER_SECOND) {
            self.now.instant += Duration::from_secs(1);
            self.now.unix_ms += 1_000;
        }
        let id = id_of(origin);
        let mut certificate = id.0.to_vec();
        certificate.resize(CERTIFICATE_BYTES, 0);
        let flood = Flood {
            certificates: vec![CertificateBytes::new(&certificate)],
            advertisements: vec![Envelope {
                adv: SignedAdv::sign(adv, |message| checksum(id, message)),
                ttl: 10,
                hops: 4,
            }],
        };
        let mut frame = Vec::new();
        encode_frame(&ControlMessage::Flood(flood), &mut frame);
        let mut input = bytes::BytesMut::from(&frame[..]);
        let message = decode_frame(&mut input, 1 << 20)
            .expect("own frames decode")
            .expect("the frame is complete");
        self.core.handle_message(self.now, self.from, message);
        while self.core.poll_output().is_some() {}
    }
}

/// Each agent's neighbours and costs.
fn neighbors(agents: usize, edges: &Edges) -> Vec<Vec<(usize, u32)>> {
    let mut rng = Rng::new(1);
    let mut links = vec![Vec::new(); agents];
    for (a, b) in edges {
        let cost = rng.within(1..5) as u32;
        links[*a].push((*b, cost));
        links[*b].push((*a, cost));
    }
    links
}

fn stamp(agent: usize) -> Stamp {
    let id = id_of(agent);
    let mut certificate = id.0.to_vec();
    certificate.resize(CERTIFICATE_BYTES, 0);
    Stamp {
        origin: id,
        certificate_hash: *CertificateBytes::new(&certificate).hash(),
        epoch: GENESIS_MS,
        sequence: 7,
        issued_at_ms: GENESIS_MS,
        lifetime_ms: 7_200_000,
        max_hops: 15,
        incarnation: GENESIS_MS,
        answers: 0,
    }
}

fn link_adv(agent: usize, links: &[(usize, u32)]) -> LinkAdv {
    let mut neighbors: Vec<Neighbor> = links
        .iter()
        .map(|(other, cost)| Neighbor {
            id: id_of(*other),
            cost: *cost,
            rtt_class: rtt_class(20_000),
            mtu: 1_400,
        })
        .collect();
    neighbors.sort_by_key(|neighbor| neighbor.id);
    LinkAdv {
        stamp: stamp(agent),
        flags: LinkFlags::default(),
        neighbors,
        display_name: format!("agent {agent}"),
        features: None,
    }
}

fn route_advs(exit: usize, origin: usize, agents: usize) -> Vec<RouteAdv> {
    let prefixes: Vec<RoutePrefix> = prefixes_of(exit, agents)
        .map(|prefix| RoutePrefix { prefix, metric: 0 })
        .collect();
    let fragments = prefixes.len().div_ceil(FRAGMENT) as u16;
    let chunks = prefixes.chunks(FRAGMENT).zip(0..);
    chunks
        .map(|(prefixes, fragment)| RouteAdv {
            stamp: stamp(origin),
            fragment,
            fragments,
            prefixes: prefixes.to_vec(),
            domains: Vec::new(),
            resolves: false,
            load: 0,
            pool: String::new(),
        })
        .collect()
}

/// Milliseconds, the median of some runs, and what the last one made.
fn timed<T>(run: impl Fn() -> T) -> (f64, T) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let made = black_box(run());
            let time = start.elapsed();
            drop(made);
            time
        })
        .collect();
    times.sort_unstable();
    (times[RUNS / 2].as_secs_f64() * 1e3, run())
}
