//! Short cycles of a soak with real agents, as a rule two: that no byte is wrong, and that the agents
//! tell what a soak judges. Too short to judge growth; that is tested with series of figures.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use internal_chaos::scenario::parse;
use internal_chaos::scenario::soak::sample::{Phase, Sample};
use internal_chaos::scenario::soak::{Plan, growth, report, soak};

use super::{SEED, TURN, runtime};

/// As the program's own, with less of everything.
const MESH: &str = "\
summary: Five agents under every kind of load
duration: 6s
drain: 15s
agents:
  ingress: { roles: [ingress] }
  transit-a: {}
  transit-b: {}
  exit-a: { roles: [exit] }
  exit-b: { roles: [exit] }
links:
  - { between: [ingress, transit-a], condition: transatlantic }
  - { between: [ingress, transit-b] }
  - { between: [transit-a, exit-a] }
  - { between: [transit-b, exit-a], condition: narrow-mtu }
  - { between: [transit-a, exit-b] }
  - { between: [transit-b, exit-b] }
faults:
  - { at: 0s, do: kill, target: transit-b, for: 500ms }
  - { at: 0s, do: cut, target: ingress <-> transit-a, for: 500ms }
  - { at: 0s, do: kill, target: exit-b, for: 500ms }
workload:
  - { do: download, count: 2, rate: 4mbit }
  - { do: chain, count: 2, rate: 1mbit }
  - { do: request, count: 2 }
  - { do: half-close, count: 2, rate: 1mbit }
  - { do: connect, every: 50ms }
  - { do: rude, count: 5 }
  - { do: storm, at: 1s, for: 1s, count: 50 }
";

#[test]
fn short_cycles_lose_nothing() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scenario = parse("soak", "soak.yaml", MESH).expect("it is well formed");
    let plan = Plan {
        time: Duration::from_secs(20),
        seed: SEED,
        keep: None,
    };
    let warren = Path::new(env!("CARGO_BIN_EXE_warren"));
    let record = runtime().block_on(soak(&scenario, warren, &plan, |_| Ok(())));
    let record = record.expect("it can be run");
    let findings = report::judge(&record);
    let broken: Vec<_> = findings.iter().filter(|finding| !finding.holds).collect();
    assert!(broken.is_empty(), "seed {SEED}: {broken:#?}");

    let cycles = record.cycles.len();
    assert!(cycles > 0, "seed {SEED}");
    let struck = record.cycles.iter().map(|cycle| cycle.faults.len());
    assert!(struck.sum::<usize>() > cycles, "{:?}", record.cycles);
    let quiet = |sample: &&Sample| sample.phase == Phase::Quiet;
    let quiet: Vec<_> = record.samples.iter().filter(quiet).collect();
    assert_eq!(
        quiet.len(),
        cycles * 5 * 3,
        "five agents, looked at three times"
    );
    for sample in quiet {
        let size = sample.size;
        assert!(
            size.memory_bytes > 1 << 20 && size.descriptors > 3,
            "{sample:?}"
        );
        assert!(size.tasks.is_some_and(|tasks| tasks > 0), "{sample:?}");
        // An exit keeps those of a session that its ingress gave up until that idles out.
        let kept = sample.agent.starts_with("exit");
        assert!(size.streams.is_some_and(|it| it == 0 || kept), "{sample:?}");
    }
    assert_eq!(growth::trends(&record.samples), [], "too short to judge");
}
