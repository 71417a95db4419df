//! Meshes of whole agents: every core holds everything. Signed bytes are shared among the cores,
//! signatures are checksums.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use warren::routing::{Avoid, Graph, PathTable, PrefixTable, RouteTable, Settings};

use crate::args::Args;
use crate::fault::Fault;
use crate::figures::{Figures, Samples, Start};
use crate::memory;
use crate::rng::Rng;
use crate::topology::{Edges, regular};
use crate::watch::{DETECTION_US, Watch};
use crate::world::{Link, World, id_of, settings};

/// Prefixes in the mesh, whatever its size.
const PREFIXES: usize = 100_000;

/// One agent of so many is an exit.
const EXIT_EVERY: usize = 10;

/// A certificate of `warren cert agent`, DER.
pub(crate) const CERTIFICATE_BYTES: usize = 347;

/// A mesh that has not agreed after this much virtual time never will: two reconciliations.
const PATIENCE_US: u64 = 90_000_000;

/// Agents whose paths are compared with the oracle at each event.
const CHECKED: usize = 24;

/// Starts a mesh in which links, transits and exits die and come back. An error says why it was stopped.
pub(crate) fn run(agents: usize, args: &Args, figures: &mut Figures) -> Result<World, String> {
    let edges = regular(&mut Rng::new(args.seed), agents);
    let (mut world, start) = started(agents, &edges, args)?;
    figures.starts.push(start);
    for (what, back) in [
        ("link death", "that link is back"),
        ("transit death", "that transit is back"),
        ("exit death", "that exit is back"),
    ] {
        let (died, repaired) = deaths(&mut world, what, args.events, &BTreeSet::new(), args)?;
        figures.events.push(died.summary("whole", agents, what));
        figures.events.push(repaired.summary("whole", agents, back));
    }
    Ok(world)
}

/// A mesh with its exits, and how its start went.
pub(crate) fn started(agents: usize, edges: &Edges, args: &Args) -> Result<(World, Start), String> {
    let real = Instant::now();
    let mut world = new_world(agents, edges, args.seed);
    for exit in exits(agents) {
        for prefix in prefixes_of(exit, agents) {
            world.agents[exit].routes.insert(prefix, 0);
        }
        // The first prefix has a second exit.
        let twin = (exit + EXIT_EVERY) % agents;
        let shared = prefix_number(exit, agents, 0);
        world.agents[twin].routes.insert(shared, 1_000);
    }
    world.boot_all();
    let agreed_at = agree(&mut world, args)?;
    let start = Start {
        agents,
        converged_ms: (agreed_at - world.last_link_up_us) as f64 / 1e3,
        messages: world.sent.messages(),
        bytes: world.sent.flood_bytes + world.sent.sync_bytes,
        resident_per_agent: memory::resident() / agents,
        real_s: real.elapsed().as_secs_f64(),
    };
    println!(
        "whole {agents}: cold start {:.0} ms after the last link, {} messages, {} MB; {} KB resident \
         an agent; took {:.1} s",
        start.converged_ms,
        start.messages,
        start.bytes / 1_000_000,
        start.resident_per_agent / 1000,
        start.real_s
    );
    Ok((world, start))
}

/// Quiet apart from what is measured: refreshes are an hour apart, and clocks and detection alike.
pub(crate) fn new_world(agents: usize, edges: &Edges, seed: u64) -> World {
    let settings = Settings {
        advertise_interval: Duration::from_secs(3_600),
        route_ttl: Duration::from_secs(3 * 3_600),
        ..settings()
    };
    let ids = (0..agents).map(id_of).collect();
    let mut world = World::new(seed, ids, edges, settings);
    world.detection_us = DETECTION_US..DETECTION_US + 1;
    world.certificate_bytes = CERTIFICATE_BYTES;
    world
}

/// Runs until all agents live, advertise every link that works, and hold the same; when that was.
pub(crate) fn agree(world: &mut World, args: &Args) -> Result<u64, String> {
    let began = world.now_us();
    while world.now_us() < began + PATIENCE_US {
        // Comparing costs as much as what happens in 10 ms; later on a coarser answer will do.
        let slice = ((world.now_us() - began) / 100).max(10_000);
        let until = world.now_us() + slice;
        while world.step(until) {}
        if agrees(world) {
            return Ok(world.now_us());
        }
        memory::check(args.memory_gib)?;
    }
    Err("the agents do not agree".to_owned())
}

fn agrees(world: &World) -> bool {
    let cores = || world.agents.iter().filter_map(|agent| agent.core.as_ref());
    let advertises = |from: usize, to: usize| {
        let (from, to) = (&world.agents[from], world.agents[to].id);
        let own = from.core.as_ref().and_then(|core| core.link_adv(from.id));
        own.is_some_and(|own| own.neighbors.iter().any(|neighbor| neighbor.id == to))
    };
    let told = |link: &Link| {
        let [a, b] = link.ends;
        advertises(a, b) && advertises(b, a)
    };
    let mut digests = cores().map(|core| core.digest());
    let first = digests.next();
    cores().count() == world.agents.len()
        && world.true_links().all(told)
        && digests.all(|digest| Some(digest) == first)
}

/// Kills links or agents one after the other, and repairs them. What the deaths and what the repairs
/// showed.
pub(crate) fn deaths(
    world: &mut World,
    what: &str,
    count: usize,
    spared: &BTreeSet<usize>,
    args: &Args,
) -> Result<(Samples, Samples), String> {
    let (mut samples, mut repairs) = (Samples::default(), Samples::default());
    let agents = world.agents.len();
    while samples.messages.len() < count {
        let fault = choose(world, what);
        if spared.iter().any(|agent| fault.concerns(*agent)) {
            continue;
        }
        let truth = fault.truth_after(world);
        let watch = Watch {
            edges: fault.edges(world),
            checked: (0..CHECKED).map(|_| world.rng.index(agents)).collect(),
            truth: Some(&truth),
            excused: spared.iter().copied().chain(fault.victim).collect(),
        };
        world.plan(0, fault.strike);
        watch.run(world, &mut samples)?;
        if let Some(exit) = fault.victim.filter(|_| what == "exit death") {
            twin_takes_over(world, exit);
        }
        let (before, repaired_at) = (world.sent, world.now_us());
        world.plan(0, fault.repair);
        world.run(1);
        repairs.last_us.push(agree(world, args)? - repaired_at);
        let cost = world.sent.since(before);
        repairs.messages.push(cost.floods);
        repairs.bytes.push(cost.flood_bytes);
    }
    Ok((samples, repairs))
}

/// A link, a transit or an exit of the mesh.
fn choose(world: &mut World, what: &str) -> Fault {
    let (links, agents) = (world.links.len(), world.agents.len());
    let link = world.rng.index(links);
    let agent = world.rng.index(agents);
    let exit = agent - agent % EXIT_EVERY;
    match what {
        "link death" => Fault::of_link(world, link),
        "exit death" => Fault::of_agent(world, exit),
        _ => Fault::of_agent(world, if agent == exit { exit + 1 } else { agent }),
    }
}

/// The route table of some agent names the second exit of what the dead one shared with it.
fn twin_takes_over(world: &World, exit: usize) {
    let agents = world.agents.len();
    let twin = (exit + EXIT_EVERY) % agents;
    let asked = (exit + EXIT_EVERY / 2) % agents;
    let core = world.agents[asked]
        .core
        .as_ref()
        .expect("only the exit died");
    let graph = Arc::new(Graph::build(world.agents[asked].id, core.link_advs()));
    let max_hops = world.settings.max_hops;
    let paths = Arc::new(PathTable::build(graph, max_hops, Avoid::default()));
    let prefixes = PrefixTable::build(core.route_advs().map(|(_, route)| route));
    let table = RouteTable::new(Arc::new(prefixes), paths);
    let IpNet::V4(shared) = prefix_number(exit, agents, 0) else {
        unreachable!("all prefixes are IPv4");
    };
    let candidates = table.candidates_for_ip(IpAddr::V4(shared.network()));
    let exits: Vec<_> = candidates.iter().map(|candidate| candidate.exit).collect();
    assert_eq!(exits, [world.agents[twin].id], "the twin takes over");
}

pub(crate) fn exits(agents: usize) -> impl Iterator<Item = usize> {
    (0..agents).step_by(EXIT_EVERY)
}

/// The exit's share of all prefixes.
pub(crate) fn prefixes_of(exit: usize, agents: usize) -> impl Iterator<Item = IpNet> {
    let share = PREFIXES / agents.div_ceil(EXIT_EVERY);
    (0..share).map(move |number| prefix_number(exit, agents, number))
}

fn prefix_number(exit: usize, agents: usize, number: usize) -> IpNet {
    let share = PREFIXES / agents.div_ceil(EXIT_EVERY);
    let block = (exit / EXIT_EVERY * share + number) as u32;
    let network = Ipv4Addr::from(0x0a00_0000 + (block << 4));
    IpNet::V4(Ipv4Net::new_assert(network, 28))
}
