//! Agents that lie, flood or have a wrong clock, and meshes that fall apart and heal. Whatever they
//! do, the others must hold the truth.

use std::collections::{BTreeMap, BTreeSet};

use warren::identity::AgentId;
use warren::routing::{AdvResult, Alarm, MessageDrop};
use warren::wire::{ControlMessage, Envelope, SignedAdv};

use crate::for_seeds;
use crate::oracle::{check, check_without};
use crate::rng::Rng;
use crate::scenarios::{plan_exits, world};
use crate::topology::{halves, regular};
use crate::world::{Chaos, GENESIS_MS, Tamper, World, id_of};

/// The agent that misbehaves. It is an exit too.
const VILLAIN: usize = 0;

/// A mesh that nobody can cut by leaving.
fn mesh(seed: u64, agents: usize) -> World {
    let edges = regular(&mut Rng::new(seed), agents);
    let mut world = world(seed, agents, &edges);
    world.boot_all();
    plan_exits(&mut world);
    world
}

/// Lets links break and come back all over, for 20 s.
fn plan_unrest(world: &mut World, seed: u64) {
    let mut rng = Rng::new(seed ^ 0x0b5e_55ed);
    for _ in 0..10 {
        let (at, link) = (rng.within(5_000..20_000), rng.index(world.links.len()));
        world.plan(at, Chaos::Break { link });
        world.plan(at + rng.within(500..5_000), Chaos::Repair { link });
    }
}

fn total(world: &World, result: AdvResult) -> u64 {
    let cores = world.agents.iter().filter_map(|agent| agent.core.as_ref());
    cores.map(|core| core.counters().total(result)).sum()
}

/// What the villain makes of others' advertisements: `false` swallows one.
fn rewrite(mut change: impl FnMut(&mut Envelope) -> bool + 'static) -> Option<Tamper> {
    Some(Box::new(move |agent, message| match message {
        ControlMessage::Flood(mut flood) if agent == VILLAIN => {
            let own = |envelope: &Envelope| {
                let key = envelope.adv.key();
                key.is_some_and(|key| key.origin == id_of(VILLAIN))
            };
            flood
                .advertisements
                .retain_mut(|envelope| own(envelope) || change(envelope));
            Some(ControlMessage::Flood(flood))
        }
        other => Some(other),
    }))
}

#[test]
fn a_transit_that_claims_links_to_everybody_is_not_believed() {
    for_seeds("a_transit_that_claims", 6, |seed| {
        let mut world = mesh(seed, 40);
        plan_unrest(&mut world, seed);
        for neighbor in 1..40 {
            let agent = VILLAIN;
            world.plan(3_000, Chaos::Claim { agent, neighbor });
        }
        world.run(20 + 70);
        let claimed = world.agents[1].core.as_ref().unwrap();
        let lies = claimed.link_adv(id_of(VILLAIN)).unwrap();
        assert!(lies.neighbors.len() >= 35, "the lie is told");
        check(&world);
    });
}

#[test]
fn a_transit_that_alters_what_it_forwards_is_cut_off_by_its_neighbours() {
    for_seeds("a_transit_that_alters", 6, |seed| {
        let mut world = mesh(seed, 40);
        world.dishonest.insert(VILLAIN);
        world.run(5);
        world.tamper = rewrite(|envelope| {
            let body = envelope.adv.body().to_vec().into();
            envelope.adv = SignedAdv::from_parts(body, [7; 64]);
            true
        });
        plan_unrest(&mut world, seed);
        world.run(150);
        // Who has heard the truth first takes the altered copy for old news and may never judge it.
        assert!(total(&world, AdvResult::BadSignature) > 0);
        check(&world);
    });
}

#[test]
fn a_transit_that_falsifies_envelopes_or_repeats_old_news_changes_nothing() {
    for_seeds("a_transit_that_falsifies", 8, |seed| {
        let mut world = mesh(seed, 40);
        let mut first_heard: BTreeMap<AgentId, Envelope> = BTreeMap::new();
        world.tamper = rewrite(move |envelope| {
            (envelope.ttl, envelope.hops) = match seed % 4 {
                0 => (15, 0),
                1 => (0, envelope.hops),
                2 => (255, 255),
                _ => (envelope.ttl, envelope.hops),
            };
            let origin = envelope.adv.key().unwrap().origin;
            let old = first_heard
                .entry(origin)
                .or_insert_with(|| envelope.clone());
            if seed % 4 == 3 {
                *envelope = old.clone();
            }
            true
        });
        plan_unrest(&mut world, seed);
        world.run(20 + 70);
        check(&world);
    });
}

#[test]
fn a_transit_that_forwards_no_news_delays_none() {
    for_seeds("a_transit_that_forwards", 6, |seed| {
        let mut world = mesh(seed, 40);
        world.tamper = rewrite(|_| false);
        plan_unrest(&mut world, seed);
        world.run(20 + 70);
        check(&world);
    });
}

#[test]
fn an_agent_that_floods_delays_nobody_elses_news() {
    for_seeds("an_agent_that_floods", 3, |seed| {
        let mut world = mesh(seed, 24);
        world.run(10);
        // Five seconds of 10,000 advertisements a second, each of them news and validly signed.
        for tick in 0..50_000 {
            let (agent, draining) = (VILLAIN, tick % 2 == 0);
            world.plan_us(tick * 100, Chaos::Drain { agent, draining });
        }
        world.run(2);
        let link = (0..world.links.len())
            .find(|link| !world.links[*link].ends.contains(&VILLAIN))
            .unwrap();
        world.plan(0, Chaos::Break { link });
        // 300 ms at most to notice it, the rest to tell everybody.
        world.run(1);
        let ends = world.links[link].ends.map(id_of);
        for agent in (0..24).filter(|agent| *agent != VILLAIN) {
            let core = world.agents[agent].core.as_ref().unwrap();
            let lists = |a, b| {
                let link = core.link_adv(a).unwrap();
                link.neighbors.iter().any(|neighbor| neighbor.id == b)
            };
            assert!(
                !lists(ends[0], ends[1]) && !lists(ends[1], ends[0]),
                "agent {agent} does not know yet"
            );
            assert_eq!(core.counters().dropped(MessageDrop::ByteRate), 0);
        }
        world.run(4);
        // Each took a burst and five seconds' worth of it, not what four neighbours may bring.
        let passed_on = total(&world, AdvResult::Accepted) / 24;
        assert!(passed_on < 2_000, "{passed_on} were accepted by each");
        assert!(total(&world, AdvResult::OriginRate) > 0, "it was slowed");
        world.run(70);
        check(&world);
    });
}

#[test]
fn clocks_within_the_slack_do_no_harm_and_beyond_it_only_to_their_owner() {
    // Against clocks that are 10 s off at most.
    let cases = [
        (105_000, true),
        (-105_000, true),
        (400_000, false),
        (-500_000, false),
    ];
    for_seeds("clocks_within", 8, |seed| {
        let (ahead_ms, heard) = cases[seed as usize % cases.len()];
        let mut world = mesh(seed, 30);
        for agent in &mut world.agents {
            agent.clock_ms /= 4;
        }
        world.agents[VILLAIN].clock_ms = ahead_ms;
        plan_unrest(&mut world, seed);
        world.run(20 + 250);
        if heard {
            check(&world);
            return;
        }
        check_without(&world, &BTreeSet::from([VILLAIN]));
        let alarmed = world.agents.iter().any(|agent| {
            let mut alarms = agent.alarms.iter();
            alarms.any(|alarm| matches!(alarm, Alarm::ClockSkew { .. }))
        });
        assert!(alarmed, "somebody says so");
        let right = Chaos::SetClock {
            agent: VILLAIN,
            ahead_ms: 0,
        };
        world.plan(0, right);
        world.run(130 + 60);
        check(&world);
    });
}

#[test]
fn halves_of_a_mesh_forget_each_other_and_heal() {
    for_seeds("halves_of_a_mesh", 6, |seed| {
        let mut rng = Rng::new(seed);
        let (edges, bridges) = halves(&mut rng, 40, 3);
        let mut world = world(seed, 40, &edges);
        world.boot_all();
        plan_exits(&mut world);
        world.run(10);
        let bridges: Vec<usize> = (0..world.links.len())
            .filter(|link| bridges.contains(&world.links[*link].ends.into()))
            .collect();
        for link in &bridges {
            world.plan(0, Chaos::Break { link: *link });
        }
        plan_unrest(&mut world, seed);
        // Short of expiry, or long past it.
        let apart = if seed % 2 == 0 { 60 } else { 600 };
        world.run(apart);
        check(&world);
        let restarted = rng.index(40);
        world.plan(0, Chaos::Crash { agent: restarted });
        let epoch = GENESIS_MS + 3_600_000 + world.now_us() / 1_000;
        world.plan(
            5_000,
            Chaos::Boot {
                agent: restarted,
                epoch,
            },
        );
        world.run(30);
        for link in &bridges {
            world.plan(0, Chaos::Repair { link: *link });
        }
        // A second of hold after the flap, and the comparison at connect: no refresh is needed.
        world.run(5);
        check(&world);
    });
}
