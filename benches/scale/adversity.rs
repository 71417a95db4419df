//! The same deaths while somebody misbehaves, and a mesh in two halves that heals.

use std::collections::BTreeSet;

use warren::routing::AdvResult;

use crate::args::Args;
use crate::fault::Fault;
use crate::figures::{Figures, Samples};
use crate::memory;
use crate::rng::Rng;
use crate::topology::halves;
use crate::watch::Watch;
use crate::whole::{agree, deaths, new_world};
use crate::world::{Agent, Chaos, World};

/// The agent that misbehaves; no exit.
const VILLAIN: usize = 1;

/// Links between the halves.
const BRIDGES: usize = 4;

/// Largest mesh in which somebody misbehaves: a flood of advertisements takes minutes in larger ones.
const MOST_MISBEHAVED: usize = 1_000;

/// What somebody who misbehaves in this mesh costs, and then a partition of one of its size.
pub(crate) fn run(mut world: World, args: &Args, figures: &mut Figures) -> Result<(), String> {
    let agents = world.agents.len();
    if agents > MOST_MISBEHAVED {
        return Ok(());
    }
    misbehave(&mut world, args, figures)?;
    drop(world);
    partition(agents, args, figures)
}

/// Link deaths elsewhere while one transit lies, floods, and has a wrong clock.
fn misbehave(world: &mut World, args: &Args, figures: &mut Figures) -> Result<(), String> {
    let agents = world.agents.len();
    let spared = BTreeSet::from([VILLAIN]);
    let events = args.events.div_ceil(4);
    let agent = VILLAIN;

    // As many as an advertisement may name.
    for neighbor in (2..agents).take(1_000) {
        world.plan(0, Chaos::Claim { agent, neighbor });
    }
    world.run(3);
    let what = "link death, a transit lies";
    let (samples, _) = deaths(world, "link death", events, &spared, args)?;
    figures.events.push(samples.summary("whole", agents, what));
    revive(world, args)?;

    let mut samples = Samples::default();
    for _ in 0..events {
        flood(world);
        link_death(world, &mut samples)?;
        memory::check(args.memory_gib)?;
    }
    let what = "link death, an agent floods";
    figures.events.push(samples.summary("whole", agents, what));
    revive(world, args)?;

    world.agents[VILLAIN].clock_ms = 400_000;
    let draining = true;
    world.plan(0, Chaos::Drain { agent, draining });
    let mut samples = Samples::default();
    for _ in 0..events {
        link_death(world, &mut samples)?;
    }
    let refused = |agent: &Agent| {
        let core = agent.core.as_ref();
        core.map_or(0, |core| core.counters().total(AdvResult::FutureDated))
    };
    let refused: u64 = world.agents.iter().map(refused).sum();
    assert!(refused > 0, "the wrong clock is noticed");
    let what = "link death, a clock is wrong";
    figures.events.push(samples.summary("whole", agents, what));
    Ok(())
}

/// A new process in place of the villain, and peace.
fn revive(world: &mut World, args: &Args) -> Result<(), String> {
    let agent = VILLAIN;
    world.plan(0, Chaos::Crash { agent });
    let epoch = world.agents[agent].epoch + 100_000_000;
    world.plan(2_000, Chaos::Boot { agent, epoch });
    world.run(6);
    agree(world, args).map(drop)
}

/// Lets the villain say something new and valid every 100 µs, for one second.
fn flood(world: &mut World) {
    let agent = VILLAIN;
    for tick in 0..10_000 {
        let draining = tick % 2 == 0;
        world.plan_us(tick * 100, Chaos::Drain { agent, draining });
    }
}

/// A link that is not the villain's dies; all others hear of it.
fn link_death(world: &mut World, samples: &mut Samples) -> Result<(), String> {
    let links = world.links.len();
    let fault = loop {
        let link = world.rng.index(links);
        let fault = Fault::of_link(world, link);
        if !fault.concerns(VILLAIN) {
            break fault;
        }
    };
    let watch = Watch {
        edges: fault.edges(world),
        checked: BTreeSet::new(),
        truth: None,
        excused: BTreeSet::from([VILLAIN]),
    };
    world.plan(0, fault.strike);
    watch.run(world, samples)?;
    world.plan(0, fault.repair);
    world.run(4);
    Ok(())
}

/// Two halves that lose each other for 30 s, in which a link dies on either side, and meet again.
fn partition(agents: usize, args: &Args, figures: &mut Figures) -> Result<(), String> {
    let mut rng = Rng::new(args.seed);
    let (edges, between) = halves(&mut rng, agents, BRIDGES);
    let mut world = new_world(agents, &edges, args.seed);
    world.boot_all();
    agree(&mut world, args)?;
    let is_bridge = |world: &World, link: usize| between.contains(&world.links[link].ends.into());
    let bridges: Vec<usize> = (0..world.links.len())
        .filter(|link| is_bridge(&world, *link))
        .collect();
    for link in &bridges {
        world.plan(0, Chaos::Break { link: *link });
    }
    let inner = (0..world.links.len()).filter(|link| !is_bridge(&world, *link));
    let changed: Vec<usize> = inner.step_by(world.links.len() / 20).collect();
    for link in &changed {
        world.plan(5_000, Chaos::Break { link: *link });
    }
    world.run(30);
    let before = world.sent;
    let healed = world.now_us();
    for link in &bridges {
        world.plan(0, Chaos::Repair { link: *link });
    }
    let agreed = agree(&mut world, args)?;
    let cost = world.sent.since(before);
    let samples = Samples {
        // From the repair: finding each other and the hold after a flap are part of it.
        last_us: vec![agreed - healed],
        messages: vec![cost.messages()],
        bytes: vec![cost.flood_bytes + cost.sync_bytes],
        ..Samples::default()
    };
    let event = samples.summary("whole", agents, "halves heal");
    figures.events.push(event);
    Ok(())
}
