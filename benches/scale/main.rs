//! How the control plane grows with the mesh: `cargo bench --bench scale`. What the figures mean
//! and which form of a mesh each comes from is in docs/simulation.md.
//!
//! The world is that of `tests/simulation`: the real routing core in virtual time. Only memory,
//! recomputation and the two real agents are measured in real time.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what a benchmark is for"
)]

mod adversity;
mod args;
mod fault;
mod figures;
mod memory;
mod plot;
mod processes;
mod report;
mod sampled;
mod single;
mod watch;
mod whole;

#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/simulation/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/simulation/oracle.rs"]
mod oracle;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/simulation/rng.rs"]
mod rng;
#[allow(unused_imports, reason = "shared with the tests")]
#[path = "../../tests/support/mod.rs"]
mod support;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/simulation/topology.rs"]
mod topology;
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../../tests/simulation/world/mod.rs"]
mod world;

use clap::Parser;

use crate::args::Args;
use crate::figures::Figures;

/// The agent's own allocator, so that memory is what an agent would take.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(agents) = args.alone {
        let single = single::measure(agents, args.seed);
        println!("{}", serde_json::to_string(&single)?);
        return Ok(());
    }
    let mut figures = Figures::here();
    if let Some(earlier) = &args.with {
        figures = figures.after(serde_json::from_slice(&std::fs::read(earlier)?)?);
    }
    for &agents in &args.single {
        figures.singles.push(single::in_child(agents, args.seed)?);
    }
    if args.processes {
        figures.cold_sync_s = processes::cold_sync();
    }
    // After each mesh, so that nothing is lost when somebody has no patience for the next.
    for &agents in &args.agents {
        let world = whole::run(agents, &args, &mut figures);
        let fits = world.and_then(|world| adversity::run(world, &args, &mut figures));
        if let Err(reason) = fits {
            println!("{agents} whole agents: stopped: {reason}");
            figures.stopped.push(format!("{agents} agents: {reason}"));
            break;
        }
        report::write(&args, &figures)?;
    }
    for &agents in &args.sampled {
        if let Err(reason) = sampled::run(agents, &args, &mut figures) {
            println!("{agents} sampled agents: stopped: {reason}");
            figures.stopped.push(format!("{agents} sampled: {reason}"));
        }
    }
    report::print(&figures);
    report::write(&args, &figures)
}
