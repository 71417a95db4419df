//! Meshes too large for whole agents: every agent is a real core with its real links, but only the
//! advertisements of a sample of origins, and of those that an event concerns, are let through. What
//! a flood costs and how long it takes is exact: it depends on the links, not on what else is stored,
//! except that copies by shorter ways travel on while any stored object came farther. The sample is
//! there to make that distance what it is in the whole mesh.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use warren::wire::ControlMessage;

use crate::args::Args;
use crate::fault::Fault;
use crate::figures::{Figures, Samples};
use crate::memory;
use crate::rng::Rng;
use crate::topology::regular;
use crate::watch::Watch;
use crate::whole::new_world;
use crate::world::{Chaos, World};

/// Origins that everybody knows from the start.
const SAMPLE: usize = 100;

/// Runs the deaths in one mesh. An error says why it was stopped.
pub(crate) fn run(agents: usize, args: &Args, figures: &mut Figures) -> Result<(), String> {
    let edges = regular(&mut Rng::new(args.seed), agents);
    let mut world = new_world(agents, &edges, args.seed);
    let open = Rc::new(Cell::new(false));
    let gate = Rc::clone(&open);
    // Reconciliation would bring everything everywhere. Requests ask for certificates that were held
    // back while the gate was closed.
    world.tamper = Some(Box::new(move |_, message| {
        let wanted = matches!(
            message,
            ControlMessage::Flood(_) | ControlMessage::Request(_)
        );
        (gate.get() && wanted).then_some(message)
    }));
    world.boot_all();
    world.run(3);
    open.set(true);
    let sample: Vec<usize> = (0..SAMPLE).map(|_| world.rng.index(agents)).collect();
    announce(&mut world, sample);
    memory::check(args.memory_gib)?;

    for what in ["link death", "transit death"] {
        let mut samples = Samples::default();
        for _ in 0..args.events {
            death(&mut world, what, &mut samples)?;
            memory::check(args.memory_gib)?;
        }
        figures
            .events
            .push(samples.summary("sampled", agents, what));
    }
    figures
        .events
        .push(one_flood(&mut world, args.events).summary("sampled", agents, "one advertisement"));
    println!(
        "sampled {agents}: {} KB resident an agent",
        memory::resident() / agents / 1000
    );
    Ok(())
}

/// Makes everybody hear of these agents, in their current state.
fn announce(world: &mut World, agents: impl IntoIterator<Item = usize>) {
    for agent in agents {
        for draining in [true, false] {
            world.plan(0, Chaos::Drain { agent, draining });
        }
    }
    world.run(2);
}

fn death(world: &mut World, what: &str, samples: &mut Samples) -> Result<(), String> {
    let (links, agents) = (world.links.len(), world.agents.len());
    let (link, agent) = (world.rng.index(links), world.rng.index(agents));
    let fault = match what {
        "link death" => Fault::of_link(world, link),
        _ => Fault::of_agent(world, agent),
    };
    let concerned: BTreeSet<usize> = fault.pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
    announce(world, concerned);
    let watch = Watch {
        edges: fault.edges(world),
        checked: BTreeSet::new(),
        truth: None,
        excused: fault.victim.into_iter().collect(),
    };
    world.plan(0, fault.strike);
    watch.run(world, samples)?;
    world.plan(0, fault.repair);
    world.run(3);
    Ok(())
}

/// What it costs to tell everybody one thing, as every refresh does.
fn one_flood(world: &mut World, count: usize) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..count {
        let agent = world.rng.index(world.agents.len());
        // Its certificate goes ahead.
        announce(world, [agent]);
        let before = world.sent;
        let draining = true;
        world.plan(0, Chaos::Drain { agent, draining });
        world.take_changed();
        let (told, end) = (world.now_us(), world.now_us() + 1_000_000);
        let mut last = 0;
        let mut waiting: BTreeSet<usize> = (0..world.agents.len()).collect();
        while world.step(end) {
            for changed in world.take_changed() {
                if waiting.remove(&changed) {
                    last = world.now_us() - told;
                    samples.delays_us.push(last);
                }
            }
        }
        let cost = world.sent.since(before);
        samples.last_us.push(last);
        samples.messages.push(cost.floods);
        samples.bytes.push(cost.flood_bytes);
        world.plan(
            0,
            Chaos::Drain {
                agent,
                draining: false,
            },
        );
        world.run(1);
    }
    samples
}
