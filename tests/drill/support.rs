//! One fault, and what every application may expect of it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use internal_chaos::drill::fault::{Class, Fault};
use internal_chaos::drill::repeat::{Drill, End, Repeat, Settings};

/// One drill at a time: a second one on the same cores would be a fault of its own.
static MACHINE: Mutex<()> = Mutex::new(());

/// Two of each, so that a mixed-up transfer shows.
const FLOWS: u32 = 2;

/// Bytes per second each way: enough to keep data under way, little enough for a debug build.
const RATE: u64 = 4_000_000;

/// The longest stall and wait: far above any machine's jitter.
pub(crate) const GENEROUS_MS: f64 = 5_000.0;

/// When the machine paused for long, or kept an agent waiting for a core much more than the drill's
/// own load does on two idle cores (6 to 17 %), agents take each other for dead, and what goes wrong says
/// nothing of the mesh.
const BUSY_PAUSE_MS: f64 = 100.0;
const BUSY_WAIT_PERCENT: f64 = 25.0;

/// Repeats until one went well on a busy machine.
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

/// Strikes until `judge` is content, or was not although the machine was not busy.
pub(crate) fn drill(fault: Fault, judge: impl Fn(&Repeat) -> Result<(), String>) {
    with_drill(async |drill| {
        let mut reason = String::new();
        for seed in 1..=MOST_REPEATS {
            let settings = Settings {
                heartbeat: None,
                fault,
                downloads: FLOWS,
                uploads: FLOWS,
                rate: Some(RATE),
                seed,
            };
            drill.end_mesh().await;
            let seen = match drill.repeat(settings).await {
                Ok(seen) => seen,
                Err(error) => {
                    reason = format!("seed {seed}: {error:#}");
                    eprintln!("{fault}, {reason}");
                    continue;
                }
            };
            nothing_is_lost(&seen);
            let Err(wrong) = judge(&seen) else { return };
            let busy = seen.pause_ms > BUSY_PAUSE_MS || seen.waited_percent > BUSY_WAIT_PERCENT;
            assert!(busy, "{fault}, seed {seed}: {wrong}: {}", figures(&seen));
            reason = format!(
                "seed {seed}: {wrong}; but the machine paused for {:.0} ms and let an agent wait {:.0} % \
                 of the time",
                seen.pause_ms, seen.waited_percent
            );
            eprintln!("{fault}, {reason}");
        }
        panic!("{fault}: not one good repeat of {MOST_REPEATS}, the last: {reason}");
    });
}

/// What no busy machine excuses.
fn nothing_is_lost(seen: &Repeat) {
    let ended = |end: End| seen.transfers.iter().any(|one| one.end == end);
    assert!(!ended(End::Damaged), "lost bytes: {}", figures(seen));
    assert_eq!(seen.leaks.total(), 0, "leaks: {}", figures(seen));
    if seen.fault.class() != Class::Exit {
        let broken = ended(End::Broken) || ended(End::Hung) || seen.connects.broken > 0;
        assert!(!broken, "broken connections: {}", figures(seen));
    }
}

fn figures(seen: &Repeat) -> String {
    serde_json::to_string_pretty(seen).expect("figures are numbers and text")
}

/// Data goes on, new connections succeed, and the traffic leaves what was struck.
pub(crate) fn connections_live_on(seen: &Repeat) -> Result<(), String> {
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
    new_connections_succeed(seen)
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
