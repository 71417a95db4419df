//! What was measured.

use std::borrow::Cow;

use internal_chaos::machine::Machine;
use internal_chaos::stats::percentile;
use serde::{Deserialize, Serialize};

/// Everything that one run measured, and where.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Machine, moment and command; of each run if there are several.
    pub(crate) heading: Vec<String>,
    pub(crate) singles: Vec<Single>,
    pub(crate) starts: Vec<Start>,
    pub(crate) events: Vec<Event>,
    pub(crate) cold_sync_s: Vec<f64>,
    /// Meshes that did not fit.
    pub(crate) stopped: Vec<String>,
}

/// One real core that holds a mesh of so many agents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Single {
    pub(crate) agents: usize,
    /// Links alone, as they travel (`database_bytes`).
    pub(crate) wire_bytes: usize,
    /// Links alone, resident memory.
    pub(crate) resident_bytes: usize,
    /// With 100,000 prefixes, resident memory.
    pub(crate) resident_with_prefixes: usize,
    /// Milliseconds, medians.
    pub(crate) graph_ms: f64,
    pub(crate) paths_ms: f64,
    pub(crate) tables_ms: f64,
}

/// A mesh that starts all at once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) agents: usize,
    /// Virtual time from the last link's coming up until all hold the same.
    pub(crate) converged_ms: f64,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// Resident memory of the whole process by agent; signed bytes are shared among the agents.
    pub(crate) resident_per_agent: usize,
    /// Real time that the simulation took.
    pub(crate) real_s: f64,
}

/// Events of one kind in one mesh.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Event {
    /// `whole` or `sampled`.
    pub(crate) form: Cow<'static, str>,
    pub(crate) agents: usize,
    pub(crate) what: Cow<'static, str>,
    pub(crate) count: usize,
    /// Virtual time from detection until an agent is right, over agents and events.
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    /// Until the last agent is right: the median event and the slowest.
    pub(crate) last_ms: f64,
    pub(crate) slowest_ms: f64,
    /// Over what the links' delays alone would take, the 99th percentile.
    pub(crate) above_floor_ms: f64,
    /// Median by event, over the whole mesh.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// What single events of one kind showed.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) delays_us: Vec<u64>,
    /// By event.
    pub(crate) last_us: Vec<u64>,
    pub(crate) above_floor_us: Vec<u64>,
    pub(crate) messages: Vec<u64>,
    pub(crate) bytes: Vec<u64>,
}

impl Figures {
    pub(crate) fn here() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs no more than the system gives everybody");
        let mut machine = runtime.block_on(Machine::here());
        let given = std::env::args().skip(1).filter(|given| given != "--bench");
        let given: Vec<String> = given.collect();
        machine.command = format!("cargo bench --bench scale -- {}", given.join(" "));
        Self {
            heading: machine.heading(),
            singles: Vec::new(),
            starts: Vec::new(),
            events: Vec::new(),
            cold_sync_s: Vec::new(),
            stopped: Vec::new(),
        }
    }

    /// Those of an earlier run and these.
    pub(crate) fn after(self, mut earlier: Self) -> Self {
        earlier.heading.extend(self.heading);
        earlier
    }
}

impl Samples {
    pub(crate) fn summary(
        mut self,
        form: &'static str,
        agents: usize,
        what: &'static str,
    ) -> Event {
        let count = self.messages.len();
        for list in [
            &mut self.delays_us,
            &mut self.last_us,
            &mut self.above_floor_us,
            &mut self.messages,
            &mut self.bytes,
        ] {
            list.sort_unstable();
        }
        let ms = |list: &[u64], percent| percentile(list, percent).unwrap_or(0) as f64 / 1e3;
        let event = Event {
            form: form.into(),
            agents,
            what: what.into(),
            count,
            median_ms: ms(&self.delays_us, 50.0),
            p99_ms: ms(&self.delays_us, 99.0),
            last_ms: ms(&self.last_us, 50.0),
            slowest_ms: ms(&self.last_us, 100.0),
            above_floor_ms: ms(&self.above_floor_us, 99.0),
            messages: percentile(&self.messages, 50.0).unwrap_or(0),
            bytes: percentile(&self.bytes, 50.0).unwrap_or(0),
        };
        println!(
            "{form} {agents}: {what} ×{count}: median {:.1} ms, p99 {:.1}, last {:.1} (at most {:.1}), \
             above the floor {:.1}; {} messages, {} KB",
            event.median_ms,
            event.p99_ms,
            event.last_ms,
            event.slowest_ms,
            event.above_floor_ms,
            event.messages,
            event.bytes / 1000
        );
        event
    }
}
