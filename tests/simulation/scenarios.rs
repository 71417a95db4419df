//! The scenarios.

use std::collections::BTreeSet;

use ipnet::IpNet;
use warren::routing::{AdvResult, Alarm, MessageDrop};

use crate::for_seeds;
use crate::oracle::{check, hops, truth};
use crate::rng::Rng;
use crate::topology::{Edges, line, random, ring, tree};
use crate::world::{Chaos, World, id_of, settings};

pub(crate) fn world(seed: u64, agents: usize, edges: &Edges) -> World {
    World::new(seed, (0..agents).map(id_of).collect(), edges, settings())
}

fn prefix(text: &str) -> IpNet {
    text.parse().expect("a prefix of ours")
}

/// Two exits of one prefix, overlapping ones, and one each.
pub(crate) fn plan_exits(world: &mut World) {
    let agents = world.agents.len();
    let mut advertise = |agent: usize, text: &str, metric| {
        let prefix = prefix(text);
        world.plan(
            0,
            Chaos::Advertise {
                agent,
                prefix,
                metric,
            },
        );
    };
    advertise(0, "10.0.0.0/8", 0);
    advertise(agents - 1, "10.0.0.0/8", 5);
    advertise(agents / 2, "10.1.0.0/16", 0);
    advertise(agents / 3, "10.1.2.0/24", 3);
    advertise(agents / 3, "2001:db8::/32", 0);
}

/// Random faults in the first `seconds`; with loss until then.
pub(crate) fn plan_chaos(world: &mut World, seed: u64, seconds: u64) {
    let mut rng = Rng::new(seed ^ 0xc4a0_5000);
    let (agents, links) = (world.agents.len(), world.links.len());
    world.loss = 3;
    world.plan(seconds * 1_000, Chaos::Lossless);
    for _ in 0..agents / 4 + 3 {
        let at = rng.within(1_000..seconds * 1_000);
        let back = at + rng.within(50..12_000);
        let (agent, link) = (rng.index(agents), rng.index(links));
        let epoch = world.agents[agent].epoch;
        match rng.within(0..10) {
            0..=3 => {
                world.plan(at, Chaos::Break { link });
                world.plan(back, Chaos::Repair { link });
            }
            4 => world.plan(at, Chaos::Break { link }),
            5 => {
                world.plan(at, Chaos::Crash { agent });
                world.plan(
                    back,
                    Chaos::Boot {
                        agent,
                        epoch: epoch + at,
                    },
                );
            }
            6 => {
                // The epoch file is lost and the clock is behind.
                world.plan(at, Chaos::Crash { agent });
                let epoch = epoch - rng.within(1..1_000);
                world.plan(back, Chaos::Boot { agent, epoch });
            }
            7 => {
                let leaves = rng.chance(50);
                let end = if leaves {
                    Chaos::Leave { agent }
                } else {
                    Chaos::Crash { agent }
                };
                world.plan(at, end);
            }
            8 => {
                let prefix = prefix(&format!("172.16.{}.0/24", rng.within(0..9)));
                world.plan(
                    at,
                    Chaos::Advertise {
                        agent,
                        prefix,
                        metric: 1,
                    },
                );
                if rng.chance(60) {
                    world.plan(back, Chaos::Withdraw { agent, prefix });
                }
            }
            _ => world.plan(
                at,
                Chaos::Measure {
                    link,
                    rtt_us: rng.within(100..90_000),
                },
            ),
        }
    }
}

/// Nobody was dropped for its rate, and nobody repeats what is known more than links explain.
fn check_effort(world: &World) {
    let cores = || world.agents.iter().filter_map(|agent| agent.core.as_ref());
    let total = |result| -> u64 { cores().map(|core| core.counters().total(result)).sum() };
    let received: u64 = AdvResult::ALL.into_iter().map(total).sum();
    let accepted = total(AdvResult::Accepted);
    let degree = (2 * world.links.len() / world.agents.len() + 1) as u64;
    assert!(
        received <= accepted * (degree + 3),
        "{received} advertisements came for {accepted} that were news, at {degree} links each"
    );
    for result in [
        AdvResult::Malformed,
        AdvResult::Untrusted,
        AdvResult::BadSignature,
        AdvResult::SignatureRate,
        AdvResult::OriginRate,
        AdvResult::MemoryLimit,
    ] {
        assert_eq!(total(result), 0, "{}", result.label());
    }
    for core in cores() {
        assert_eq!(core.counters().dropped(MessageDrop::ByteRate), 0);
        assert!(!core.is_silenced());
    }
}

#[test]
fn two_hundred_agents_agree_on_the_truth_after_chaos() {
    for_seeds("two_hundred_agents", 2, |seed| {
        let edges = random(&mut Rng::new(seed), 200, 4);
        let mut world = world(seed, 200, &edges);
        world.boot_all();
        plan_exits(&mut world);
        plan_chaos(&mut world, seed, 30);
        world.run(30 + 70);
        check(&world);
        check_effort(&world);
    });
}

#[test]
fn small_meshes_of_any_shape_agree_and_forget_the_dead() {
    for_seeds("small_meshes", 8, |seed| {
        let mut rng = Rng::new(seed);
        let (agents, edges) = match seed % 4 {
            0 => (14, line(14)),
            1 => (16, ring(16)),
            2 => (63, tree(63)),
            _ => (24, random(&mut rng, 24, 3)),
        };
        let mut world = world(seed, agents, &edges);
        world.codec = true;
        world.boot_all();
        plan_exits(&mut world);
        plan_chaos(&mut world, seed, 40);
        world.run(40 + 70);
        check(&world);
        world.run(300 + 120 + 90);
        check(&world);
        // By now whatever is out of reach has expired.
        let truth = truth(&world);
        for agent in &world.agents {
            let Some(core) = &agent.core else { continue };
            let known: BTreeSet<_> = core.origins().map(|origin| origin.id).collect();
            let reachable: BTreeSet<_> = hops(&truth, agent.id).into_keys().collect();
            assert_eq!(known, reachable);
        }
    });
}

#[test]
fn floods_end_at_max_hops_by_the_shortest_way() {
    for_seeds("floods_end", 6, |seed| {
        let edges = random(&mut Rng::new(seed), 60, 3);
        let mut world = world(seed, 60, &edges);
        world.settings.max_hops = 4;
        world.boot_all();
        // Links came up one by one; the next refresh finds every way that is shorter since.
        world.run(130);
        let truth = truth(&world);
        for agent in &world.agents {
            let core = agent.core.as_ref().unwrap();
            let known: BTreeSet<_> = core.origins().map(|origin| origin.id).collect();
            let within = hops(&truth, agent.id);
            let near = within.iter().filter(|(_, hops)| **hops <= 4);
            assert_eq!(known, near.map(|(id, _)| *id).collect());
            for origin in core.origins() {
                assert_eq!(u32::from(origin.hops), within[&origin.id]);
            }
        }
    });
}

#[test]
fn of_two_processes_with_one_key_the_newer_stays() {
    for_seeds("of_two_processes", 8, |seed| {
        let edges = ring(12);
        let mut ids: Vec<_> = (0..12).map(id_of).collect();
        ids[6] = ids[0];
        let mut world = World::new(seed, ids, &edges, settings());
        world.agents[6].epoch += 60_000;
        world.boot_all();
        if seed % 2 == 0 {
            // Both up before they hear of each other.
            let far = [2, 9].map(|link| Chaos::Break { link });
            far.into_iter().for_each(|chaos| world.plan(0, chaos));
            for link in [2, 9] {
                world.plan(9_000, Chaos::Repair { link });
            }
        }
        world.run(80);
        let core = |agent: usize| world.agents[agent].core.as_ref().unwrap();
        assert!(core(0).is_silenced() && !core(6).is_silenced());
        for agent in [0, 6] {
            assert!(core(agent).duplicate_identity());
            assert!(
                world.agents[agent]
                    .alarms
                    .iter()
                    .any(|alarm| matches!(alarm, Alarm::DuplicateIdentity { .. }))
            );
        }
        let stays = world.agents[6].epoch;
        for agent in (1..12).filter(|agent| *agent != 6) {
            let link = core(agent).link_adv(world.agents[0].id).unwrap();
            assert_eq!(link.stamp.incarnation, stays);
            assert!(!core(agent).duplicate_identity());
        }
        // The newer leaves: once it has expired, the older speaks again.
        world.plan(0, Chaos::Crash { agent: 6 });
        world.run(300 + 120 + 120);
        let core = |agent: usize| world.agents[agent].core.as_ref().unwrap();
        assert!(!core(0).is_silenced() && !core(0).duplicate_identity());
        world.agents[6].core = None;
        check(&world);
    });
}

#[test]
fn a_seed_means_the_same_run() {
    let run = || {
        let mut world = world(5, 20, &random(&mut Rng::new(5), 20, 4));
        world.boot_all();
        plan_chaos(&mut world, 5, 20);
        world.run(60);
        world.sent
    };
    assert_eq!(run(), run());
}
