//! Very many very small meshes, where everything that can go wrong at once does: small ones reach
//! odd states that large ones average away. CI runs the default; a night runs
//! `WARREN_SEEDS=100000`.

use std::collections::BTreeSet;

use crate::for_seeds;
use crate::oracle::{check, hops, truth};
use crate::rng::Rng;
use crate::scenarios::{plan_chaos, plan_exits, world};
use crate::topology::{line, random, ring, tree};

/// Seeds that CI runs.
const SEEDS: u64 = 2_000;

#[test]
fn tiny_meshes_agree_on_the_truth_after_chaos() {
    for_seeds("tiny_meshes", SEEDS, |seed| {
        let mut rng = Rng::new(seed);
        let agents = rng.within(5..13) as usize;
        let edges = match rng.within(0..5) {
            0 => line(agents),
            1 => ring(agents),
            2 => tree(agents),
            _ => random(&mut rng, agents, 3),
        };
        let mut world = world(seed, agents, &edges);
        world.codec = rng.chance(20);
        world.boot_all();
        plan_exits(&mut world);
        // More faults than the mesh has links, one or two of them at a time.
        for round in 0..3 {
            plan_chaos(&mut world, seed ^ (round << 32), 30);
        }
        world.run(30 + 70);
        check(&world);
        if seed % 8 == 0 {
            world.run(300 + 120 + 60);
            check(&world);
            forgets_the_dead(&world);
        }
    });
}

/// By now whatever is out of reach has expired.
fn forgets_the_dead(world: &crate::world::World) {
    let truth = truth(world);
    for agent in &world.agents {
        let Some(core) = &agent.core else { continue };
        let known: BTreeSet<_> = core.origins().map(|origin| origin.id).collect();
        let reachable: BTreeSet<_> = hops(&truth, agent.id).into_keys().collect();
        assert_eq!(known, reachable);
    }
}
