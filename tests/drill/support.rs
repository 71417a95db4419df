//! One fault, and what every application may expect of it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use internal_chaos::drill::fault::Fault;
use internal_chaos::drill::repeat::{Drill, End, Repeat, Settings};

/// One drill at a time: a second one on the same cores would be a fault of its own.
static MACHINE: Mutex<()> = Mutex::new(());

/// Two of each, so that a mixed-up transfer shows.
const FLOWS: u32 = 2;

/// Bytes per second each way: enough to keep data under way, little enough for a debug build.
const RATE: u64 = 4_000_000;

/// The longest stall and wait: far above any machine's jitter.
pub(crate) const GENEROUS_MS: f64 = 5_000.0;

/// A pause of the machine that is as long as what the mesh takes for an agent's silence. What went
/// wrong meanwhile says nothing of the mesh.
const PAUSE_MS: f64 = 100.0;

/// Repeats until one had the machine to itself.
const MOST_REPEATS: u64 = 5;

/// Runs `work` with a drill and with the machine to itself.
pub(crate) fn with_drill<T>(work: impl AsyncFnOnce(&mut Drill) -> T) -> T {
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let drill = Drill::open(Path::new(env!("CARGO_BIN_EXE_warren"))).await;
        let mut drill = drill.unwrap_or_else(|error| panic!("{error:#}"));
        work(&mut drill).await
    })
}

/// Strikes until `judge` is content, or was not although the machine did not pause. Lost or wrong
/// bytes and leaks are never excused.
pub(crate) fn drill(fault: Fault, judge: impl Fn(&Repeat) -> Result<(), String>) {
    with_drill(async |drill| {
        for seed in 1..=MOST_REPEATS {
            let settings = Settings {
                heartbeat: None,
                fault,
                downloads: FLOWS,
                uploads: FLOWS,
                rate: Some(RATE),
                seed,
            };
            let seen = drill.repeat(settings).await;
            let seen = seen.unwrap_or_else(|error| panic!("{fault}, seed {seed}: {error:#}"));
            let damaged = seen.transfers.iter().any(|one| one.end == End::Damaged);
            assert!(!damaged, "bytes were lost or altered: {}", figures(&seen));
            assert_eq!(seen.leaks.total(), 0, "leaks: {}", figures(&seen));
            match judge(&seen) {
                Ok(()) => return,
                Err(wrong) if seen.pause_ms < PAUSE_MS => {
                    panic!("{fault}, seed {seed}: {wrong}: {}", figures(&seen));
                }
                Err(wrong) => eprintln!(
                    "{fault}, seed {seed}: {wrong}; but the machine paused for {:.0} ms",
                    seen.pause_ms
                ),
            }
            drill.end_mesh().await;
        }
        panic!("{fault}: the machine is too busy to say anything");
    });
}

fn figures(seen: &Repeat) -> String {
    serde_json::to_string_pretty(seen).expect("figures are numbers and text")
}

/// Open connections live on, new ones succeed, and the traffic leaves what was struck.
pub(crate) fn connections_live_on(seen: &Repeat) -> Result<(), String> {
    let broken = seen.transfers.iter().find(|one| one.end != End::Complete);
    if let Some(broken) = broken {
        return Err(format!("a connection ended: {:?}", broken.detail));
    }
    let stalls = seen.transfers.iter().filter_map(|one| one.stall_ms);
    check(
        stalls.fold(0.0, f64::max) < GENEROUS_MS,
        "a connection stalled",
    )?;
    check(
        seen.path_after
            .as_ref()
            .is_some_and(|path| !path.contains(&seen.victim)),
        "the traffic did not move",
    )?;
    new_connections_succeed(seen)?;
    check(
        seen.connects.broken == 0,
        "a new connection broke after its connect",
    )
}

/// New connections succeed, whatever became of open ones.
pub(crate) fn new_connections_succeed(seen: &Repeat) -> Result<(), String> {
    check(seen.connects.attempts > 0, "no connection was tried")?;
    check(seen.connects.failed == 0, "a new connection failed")?;
    check(
        seen.connects.longest_wait_ms < GENEROUS_MS,
        "a new connection waited",
    )
}

pub(crate) fn check(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}
