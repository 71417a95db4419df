//! Some scenarios of the library, run with real agents on loopback: no root, no namespaces.
//!
//! The whole library: `cargo run -p internal-chaos -- run all`. Times are five times as patient
//! here, because other work on the machine and debug builds stretch them; what must never happen
//! is held as strictly as there.

mod soak;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use internal_chaos::scenario::judge::judge;
use internal_chaos::scenario::ladder::Length;
use internal_chaos::scenario::model::{Scenario, Work};
use internal_chaos::scenario::{RunArgs, library, play, run};
use tokio::runtime::{Builder, Runtime};

/// Fixed, so that faults strike at the same times in every run.
const SEED: u64 = 1;

const PATIENCE: u32 = 5;

/// One mesh at a time: they would be each other's faults.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a scenario; every invariant must hold.
fn holds(name: &str) {
    holds_as(name, |_| {});
}

/// Runs a scenario that is changed before.
fn holds_as(name: &str, change: impl FnOnce(&mut Scenario)) {
    // A failed scenario says nothing about the next one.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut scenario = library::find(name, Length::Short).expect("the library has it");
    scenario.expect.be_patient(PATIENCE);
    change(&mut scenario);
    let warren = Path::new(env!("CARGO_BIN_EXE_warren"));
    let record = runtime().block_on(play(&scenario, warren, SEED, None));
    let record = record.unwrap_or_else(|error| panic!("{name} could not be run: {error:#}"));
    let findings = judge(&scenario, &record);
    let broken: Vec<_> = findings.iter().filter(|finding| !finding.holds).collect();
    assert!(
        broken.is_empty(),
        "{broken:#?}\nthe machine paused {:?}; again: \
         cargo run -p internal-chaos -- run {name} --seed {SEED}\nevents: {:#?}",
        record.pause,
        record.events
    );
}

#[test]
fn a_killed_transit() {
    holds("transit-kill");
}

#[test]
fn a_transit_that_loses_data() {
    holds("grey-transit");
}

#[test]
fn a_killed_exit() {
    holds("exit-kill");
}

#[test]
fn a_target_that_is_down() {
    holds("target-down");
}

#[test]
fn a_nat_that_forgets() {
    holds("nat-port-change");
}

/// A tenth of the load, and transfers of a second: a debug build carries that beside its own restarts.
#[test]
fn a_rolling_restart_behind_haproxy() {
    holds_as("rolling-restart", |scenario| {
        scenario.duration = Duration::from_secs(70);
        for load in &mut scenario.loads {
            load.lasts = scenario.duration;
            load.each = load.each.map(|_| Duration::from_secs(1));
            match &mut load.work {
                Work::Download { count, .. } | Work::Upload { count, .. } => *count = 5,
                Work::Connect { every } => *every = Duration::from_millis(50),
                work => unreachable!("it has no {}", work.name()),
            }
        }
    });
}

/// Every named condition, seconds of each, some of them at once: between their starts they leave the
/// machine idle. More than four debug builds of a mesh that begin at once starve each other on two slow
/// cores for longer than a link may be silent.
#[test]
fn a_link_under_each_named_condition() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let arguments = RunArgs {
        scenarios: vec!["links".to_owned()],
        seed: SEED,
        patience: PATIENCE,
        long: false,
        at_once: 4,
        warren: Some(env!("CARGO_BIN_EXE_warren").into()),
        json: None,
        html: None,
        keep: None,
    };
    let code = runtime().block_on(run(&arguments));
    assert_eq!(code.expect("it can be run"), ExitCode::SUCCESS);
}

/// A mesh that is well, and an expectation that it cannot meet.
const IMPOSSIBLE: &str = "\
summary: Nothing happens, and a failover is expected
duration: 1s
agents: { ingress: { roles: [ingress] }, exit: { roles: [exit] } }
links: [{ between: [ingress, exit] }]
workload: [{ do: connect }]
expect: { failovers: at least 1 }
";

#[test]
fn a_broken_invariant_is_exit_code_1_and_on_the_page() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("the system has a folder for temporary files");
    let file = folder.path().join("impossible.yaml");
    std::fs::write(&file, IMPOSSIBLE).expect("the folder is writable");
    let page = folder.path().join("page.html");
    let arguments = RunArgs {
        scenarios: vec![file.display().to_string()],
        seed: SEED,
        patience: PATIENCE,
        long: false,
        at_once: 1,
        warren: Some(env!("CARGO_BIN_EXE_warren").into()),
        json: None,
        html: Some(page.clone()),
        keep: None,
    };
    let code = runtime().block_on(run(&arguments));
    assert_eq!(code.expect("it can be run"), ExitCode::from(1));
    let page = std::fs::read_to_string(page).expect("it was written");
    assert!(
        page.contains("<span class=\"broken\">broken</span>"),
        "{page}"
    );
}

fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("the system has descriptors for a runtime")
}
