//! Metrics that are read from snapshots when somebody asks, instead of being counted along.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::runtime::Handle;

use super::logging;
use super::status::Status;
use crate::clock::unix_now;
use crate::routing::LinkState;
use crate::task;

/// Reads the agent's status.
pub(super) struct Collector {
    pub(super) status: Arc<Status>,
    /// Whether what agents call themselves is told.
    pub(super) names: bool,
}

impl collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        build(&mut encoder)?;
        self.links(&mut encoder)?;
        self.routes(&mut encoder)?;
        self.advertisements(&mut encoder)?;
        gauge(
            &mut encoder,
            "sessions_short_of_windows",
            "Sessions whose streams get less than they could use, because others are not read",
            self.status.short_of_windows().len() as i64,
        )?;
        tasks(&mut encoder)?;
        task_panics(&mut encoder)?;
        counter(
            &mut encoder,
            "log_lines_lost",
            "Log lines of this process that standard error did not take",
            logging::lines_lost(),
        )?;
        let left = self.status.identity.not_after() as i64 - unix_now() as i64;
        gauge(
            &mut encoder,
            "certificate_expiry_seconds",
            "Time until the agent's certificate expires; negative once it has",
            left,
        )
    }
}

impl Collector {
    fn links(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let one = ConstGauge::new(1_i64);
        let mesh = self.status.mesh();
        let graph = mesh.table.path_table().graph();
        let mut family =
            encoder.encode_descriptor("links", "Peers by link state", None, one.metric_type())?;
        for (id, peer) in self.status.shared.links.snapshot() {
            let state = match peer.live.map(|live| live.state) {
                Some(LinkState::Up) => "up",
                Some(LinkState::Suspect) => "suspect",
                Some(LinkState::Down) | None => "down",
            };
            let agent = graph.agent(id).filter(|_| self.names);
            let labels = [
                ("peer", id.to_string()),
                (
                    "name",
                    agent.map_or_else(String::new, |agent| agent.display_name.clone()),
                ),
                ("state", state.to_owned()),
            ];
            one.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn routes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.status.mesh().table.counts();
        let usable = (counts.prefixes + counts.domains) as i64;
        gauge(
            encoder,
            "routes",
            "Prefixes and domains with a live exit",
            usable,
        )
    }

    fn advertisements(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counters = self
            .status
            .shared
            .counters
            .lock()
            .expect("no panic while locked")
            .clone();
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor(
            "advertisements",
            "Advertisements received, by what became of them",
            None,
            kind,
        )?;
        for (kind, result, count) in counters.advertisements() {
            let labels = [("type", kind), ("result", result)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let mut family = encoder.encode_descriptor(
            "control_messages_dropped",
            "Control messages dropped whole, by reason",
            None,
            kind,
        )?;
        for (reason, count) in counters.messages() {
            ConstCounter::new(count).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        Ok(())
    }
}

/// Of the runtime that answers, which is the agent's own; a growing number is a leak.
fn tasks(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Ok(runtime) = Handle::try_current() else {
        return Ok(());
    };
    let alive = runtime.metrics().num_alive_tasks() as i64;
    gauge(encoder, "tasks", "Tasks alive in the runtime", alive)
}

fn build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let one = ConstGauge::new(1_i64);
    let help = "1, with what this warren was built as";
    let mut family = encoder.encode_descriptor("build_info", help, None, one.metric_type())?;
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("os", std::env::consts::OS),
        ("arch", std::env::consts::ARCH),
    ];
    one.encode(family.encode_family(&labels)?)
}

fn task_panics(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = ConstCounter::new(0_u64).metric_type();
    let help = "Connections of this process that ended by a panic, by what they were";
    let mut family = encoder.encode_descriptor("task_panics", help, None, kind)?;
    for (task, count) in task::panics() {
        ConstCounter::new(count).encode(family.encode_family(&[("task", task)])?)?;
    }
    Ok(())
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let counter = ConstCounter::new(value);
    let descriptor = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
    counter.encode(descriptor)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: i64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let descriptor = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(descriptor)
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}
