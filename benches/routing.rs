//! How long the routing core takes at size: `cargo bench --bench routing`.
//!
//! Prints milliseconds (microseconds for lookups), the median of several runs. The mesh is a ring
//! with random chords, four links an agent, the same at every run.

#![allow(clippy::print_stdout, reason = "printing is what a benchmark is for")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use warren::config::Limits;
use warren::identity::AgentId;
use warren::routing::{
    AdmitError, Admitted, Authority, Avoid, Core, Graph, LinkMetrics, LinkUp, Now, PathTable,
    PrefixTable, RouteTable, Settings,
};
use warren::wire::{
    Advertisement, CertificateBytes, ControlMessage, Envelope, Flood, LinkAdv, LinkFlags, Neighbor,
    RouteAdv, RoutePrefix, SignedAdv, Stamp,
};

/// Longest path of the benchmark, so that a thousand agents and ten thousand are within reach.
const MAX_HOPS: u8 = 15;

/// Exits and prefixes of the big table.
const EXITS: u32 = 10_000;
const PREFIXES_PER_EXIT: u32 = 10;

/// Links of the agent that loses and regains half of them: neighbours of a busy transit.
const LINKS: u32 = 64;

fn main() {
    for agents in [1_000, 10_000] {
        for dearest in [1, 10] {
            paths(agents, dearest);
        }
        held_links(agents);
    }
    routes();
}

fn paths(agents: u32, dearest: u32) {
    let links = mesh(agents, dearest);
    let label = format!("{agents} agents, costs 1..={dearest}:");
    report(&format!("{label} graph"), || {
        Graph::build(agent(0), links.iter())
    });
    let graph = Arc::new(Graph::build(agent(0), links.iter()));
    report(&format!("{label} all shortest paths"), || {
        PathTable::build(graph.clone(), MAX_HOPS, Avoid::default())
    });
    let table = PathTable::build(graph, MAX_HOPS, Avoid::default());
    let exits = || (1..agents).map(agent);
    let reached = exits().filter(|&exit| table.is_reachable(exit)).count();
    println!("{label} {reached} reached");
    let asked: Vec<AgentId> = exits().step_by(agents as usize / 100).collect();
    let start = Instant::now();
    let found = asked
        .iter()
        .filter_map(|&exit| table.alternate(exit))
        .count();
    println!(
        "{label} alternate {:.3} ms each, {found} of {} found",
        start.elapsed().as_secs_f64() * 1e3 / asked.len() as f64,
        asked.len()
    );
}

/// Half of an agent's links return after a flap: held, unless nothing else leads there.
fn held_links(agents: u32) {
    for cut_off in [false, true] {
        let mut links = mesh(agents, 1);
        for number in 1..=LINKS {
            if cut_off {
                links[number as usize].neighbors.clear();
            }
            connect(&mut links, 0, number, 1, 0);
        }
        let start = Instant::now();
        let at = |ms| Now {
            instant: start + Duration::from_millis(ms),
            unix_ms: 0,
        };
        let mut core = Core::new(at(0), settings(agent(0)), Trusting(agent(0).0.to_vec()));
        for number in 1..=LINKS {
            core.handle_link_up(at(0), link_up(number));
        }
        for (adv, from) in links.into_iter().skip(1).zip((1..=LINKS).cycle()) {
            core.handle_message(at(0), agent(from), flood(adv));
        }
        for number in 1..=LINKS / 2 {
            core.handle_link_down(at(1_000), agent(number));
        }
        let changes = Instant::now();
        for number in 1..=LINKS / 2 {
            core.handle_link_up(at(1_000), link_up(number));
        }
        let changes = changes.elapsed();
        let look = Instant::now();
        core.handle_timeout(at(1_000));
        let look = look.elapsed();
        let held = core.adjacencies().filter(|one| one.held_until.is_some());
        println!(
            "{agents} agents, {} of {LINKS} links return: {:.3} ms, then {:.3} ms, {} held",
            LINKS / 2,
            changes.as_secs_f64() * 1e3,
            look.as_secs_f64() * 1e3,
            held.count()
        );
    }
}

/// Certificates are ids, and every signature is good.
struct Trusting(Vec<u8>);

impl Authority for Trusting {
    fn sign(&self, _: &[u8]) -> [u8; 64] {
        [0; 64]
    }

    fn certificate(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn admit(&self, bytes: &[u8], _: u64) -> Result<Arc<Admitted>, AdmitError> {
        let id: [u8; 16] = bytes
            .try_into()
            .map_err(|_| AdmitError::Malformed("no id".to_owned()))?;
        Ok(Arc::new(Admitted {
            id: AgentId(id),
            public_key: [0; 32],
            not_after_ms: u64::MAX,
            grants: None,
        }))
    }

    fn verify(&self, _: &Admitted, _: &[u8], _: &[u8; 64]) -> bool {
        true
    }
}

fn settings(id: AgentId) -> Settings {
    Settings {
        id,
        epoch: 1,
        display_name: String::new(),
        max_hops: MAX_HOPS,
        advertise_interval: Duration::from_secs(120),
        route_ttl: Duration::from_secs(300),
        transit: true,
        limits: Limits::default(),
    }
}

fn link_up(number: u32) -> LinkUp {
    LinkUp {
        neighbor: agent(number),
        metrics: LinkMetrics {
            cost: 1,
            rtt_us: 1_000,
            mtu: 1_400,
        },
        peer_epoch: 1,
    }
}

/// Of one advertisement, with its certificate.
fn flood(mut adv: LinkAdv) -> ControlMessage {
    let certificate = CertificateBytes::new(&adv.stamp.origin.0);
    adv.stamp.certificate_hash = *certificate.hash();
    adv.neighbors.sort_by_key(|neighbor| neighbor.id);
    adv.neighbors.dedup_by_key(|neighbor| neighbor.id);
    adv.neighbors
        .retain(|neighbor| neighbor.id != adv.stamp.origin);
    ControlMessage::Flood(Flood {
        certificates: vec![certificate],
        advertisements: vec![Envelope {
            adv: SignedAdv::sign(Advertisement::Link(adv), |_| [0; 64]),
            ttl: MAX_HOPS - 1,
            hops: 0,
        }],
    })
}

fn routes() {
    let links = mesh(EXITS, 1);
    let advs: Vec<RouteAdv> = (0..EXITS).map(route_adv).collect();
    let label = format!("{} prefixes of {EXITS} exits:", EXITS * PREFIXES_PER_EXIT);
    report(&format!("{label} prefix table"), || {
        PrefixTable::build(advs.iter())
    });
    let prefixes = Arc::new(PrefixTable::build(advs.iter()));
    let graph = Arc::new(Graph::build(agent(0), links.iter()));
    let paths = Arc::new(PathTable::build(graph, MAX_HOPS, Avoid::default()));
    report(&format!("{label} join with paths"), || {
        RouteTable::new(prefixes.clone(), paths.clone())
    });
    report(&format!("{label} counts"), || {
        RouteTable::new(prefixes.clone(), paths.clone()).counts()
    });
    let table = RouteTable::new(prefixes, paths);
    println!("{label} {:?}", table.counts());
    let mut random = Random(7);
    let asked: Vec<IpAddr> = (0..100_000)
        .map(|_| host(random.below(EXITS), random.below(PREFIXES_PER_EXIT)))
        .collect();
    let start = Instant::now();
    let found: usize = asked
        .iter()
        .map(|&ip| table.candidates_for_ip(ip).len())
        .sum();
    println!(
        "{label} lookup with its path {:.3} us each, {found} candidates of {}",
        start.elapsed().as_secs_f64() * 1e6 / asked.len() as f64,
        asked.len()
    );
}

/// Prints the median duration of several runs.
fn report<T>(what: &str, run: impl Fn() -> T) {
    let mut times: Vec<Duration> = (0..11)
        .map(|_| {
            let start = Instant::now();
            let made = black_box(run());
            let time = start.elapsed();
            drop(made);
            time
        })
        .collect();
    times.sort_unstable();
    println!(
        "{what} {:.3} ms",
        times[times.len() / 2].as_secs_f64() * 1e3
    );
}

/// An id that is spread like real ones.
fn agent(number: u32) -> AgentId {
    let spread = u128::from(number) + 1;
    AgentId(
        spread
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes(),
    )
}

fn stamp(number: u32) -> Stamp {
    Stamp {
        origin: agent(number),
        certificate_hash: [0; 32],
        epoch: 1,
        sequence: 1,
        issued_at_ms: 0,
        lifetime_ms: 300_000,
        max_hops: MAX_HOPS,
        incarnation: 1,
        answers: 0,
    }
}

fn mesh(agents: u32, dearest: u32) -> Vec<LinkAdv> {
    let mut links: Vec<LinkAdv> = (0..agents)
        .map(|number| LinkAdv {
            stamp: stamp(number),
            flags: LinkFlags::default(),
            neighbors: Vec::new(),
            display_name: format!("agent-{number}"),
            features: None,
        })
        .collect();
    let mut random = Random(1);
    for a in 0..agents {
        for b in [(a + 1) % agents, random.below(agents)] {
            let (cost, rtt_class) = (1 + random.below(dearest), random.below(16) as u8);
            connect(&mut links, a, b, cost, rtt_class);
        }
    }
    links
}

fn connect(links: &mut [LinkAdv], a: u32, b: u32, cost: u32, rtt_class: u8) {
    for (from, to) in [(a, b), (b, a)] {
        links[from as usize].neighbors.push(Neighbor {
            id: agent(to),
            cost,
            rtt_class,
            mtu: 1_400,
        });
    }
}

fn route_adv(number: u32) -> RouteAdv {
    let prefixes = (0..PREFIXES_PER_EXIT)
        .map(|index| RoutePrefix {
            prefix: IpNet::new_assert(host(number, index), 28).trunc(),
            metric: 0,
        })
        .collect();
    RouteAdv {
        stamp: stamp(number),
        fragment: 0,
        fragments: 1,
        prefixes,
        domains: Vec::new(),
        resolves: false,
        load: 0,
        pool: String::new(),
    }
}

/// A host in the /28 with this index at this exit.
fn host(exit: u32, index: u32) -> IpAddr {
    let block = exit * PREFIXES_PER_EXIT + index;
    Ipv4Addr::from(0x0a00_0001 + (block << 4)).into()
}

/// xorshift64: the same mesh at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % u64::from(bound)) as u32
    }
}
