//! Reloads when the configuration, or a CA file, a certificate, a key or a file of a hash that it names,
//! changes (`agent.watch`).
//!
//! What is compared is what the path leads to, so that a link which is swapped, as Kubernetes does it,
//! is a change. One task; it ends when the agent stops for good, and may be aborted at any time.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::info;

use super::lifecycle::Phase;
use super::request::Desk;
use crate::config::Config;

/// Between two looks: a change counts within two of them.
const LOOK: Duration = Duration::from_millis(500);

/// What tells one state of a file from another: which it is, its size, and when it was changed; `None`: it
/// is not there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

type Stamps = BTreeMap<PathBuf, Stamp>;

/// Runs until the agent stops.
pub(super) async fn watch(file: PathBuf, desk: Desk) {
    let mut phase = desk.life.subscribe();
    let stopping = async {
        // An error means that the agent is gone.
        let _ = phase.wait_for(|phase| *phase == Phase::Stopping).await;
    };
    tokio::select! {
        () = stopping => {}
        () = look(&file, &desk) => {}
    }
}

async fn look(file: &Path, desk: &Desk) {
    let mut config = desk.config.subscribe();
    let mut known: Option<Stamps> = None;
    let mut last = None;
    loop {
        if !config.borrow_and_update().agent.watch {
            known = None;
            if config.changed().await.is_err() {
                return;
            }
            continue;
        }
        let paths = paths(file, &config.borrow());
        let Ok(now) = spawn_blocking(move || stamps(paths)).await else {
            // Else the runtime ends.
            return;
        };
        // One that is being written is looked at again, until it rests.
        let rests = last.replace(now.clone()).is_some_and(|last| last == now);
        match &known {
            // What changed before somebody looked is not known.
            None => {
                known = Some(now);
                drop(desk.reload().await);
            }
            Some(before) if rests && *before != now => {
                info!("a watched file has changed: reloading");
                // What comes of it is in the log.
                drop(desk.reload().await);
                known = Some(now);
            }
            Some(_) => {}
        }
        sleep(LOOK).await;
    }
}

fn paths(file: &Path, config: &Config) -> Vec<PathBuf> {
    let named = config.files().into_iter();
    named.chain([file.to_owned()]).collect()
}

fn stamps(paths: Vec<PathBuf>) -> Stamps {
    let stamps = paths.into_iter().map(|path| {
        let stamp = stamp(&path);
        (path, stamp)
    });
    stamps.collect()
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.ctime(),
        meta.ctime_nsec(),
    ))
}
