//! Looks at the file of revocations beside everything else: storage that hangs must keep nobody waiting.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::warn;

use crate::clock::{self, unix_ms, within};
use crate::identity::read_revoke_file;

/// A file that was changed less than this ago may change again without a later time.
const FRESH_MS: i64 = 1_000;

/// How long one call waits for a look; less than the time between two.
const PATIENCE: Duration = Duration::from_millis(100);

/// A look that takes longer is told of.
const SILENT: Duration = Duration::from_secs(5);

/// What tells one state of a file from another: which it is, its size, and when it was changed, in
/// milliseconds; `None`: it is not there.
type Stamp = Option<(u64, u64, u64, i64)>;

/// The file, and what is known of it.
pub(super) struct RevokeFile {
    path: PathBuf,
    look: Arc<Looker>,
    stamp: Stamp,
    /// The one look under way, when it began, and whether it was told that it takes long.
    looking: Option<(JoinHandle<Look>, Instant, bool)>,
}

/// Looks at a file that was in a state before.
type Looker = dyn Fn(&Path, Stamp) -> Look + Send + Sync;

/// What was found.
struct Look {
    stamp: Stamp,
    /// Present if it may be other than before.
    found: Option<Found>,
}

/// What a file says that may have changed.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: Result<String, String>,
    /// The file is another than at the last look, not only young.
    pub(super) is_news: bool,
}

impl RevokeFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            look: Arc::new(look),
            stamp: None,
            looking: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says, if that may have changed. Waits a moment at most: a look that takes longer
    /// goes on, and no other begins before its end.
    pub(super) async fn changed(&mut self) -> Option<Found> {
        let (looking, begun, told) = self.looking.get_or_insert_with(|| {
            let (look, path, stamp) = (self.look.clone(), self.path.clone(), self.stamp);
            let looking = spawn_blocking(move || look(&path, stamp));
            (looking, clock::now(), false)
        });
        let Some(looked) = within(PATIENCE, looking).await else {
            if clock::since(*begun) > SILENT && !std::mem::replace(told, true) {
                warn!(path = %self.path.display(), "trust.revoke_file: storage does not answer");
            }
            return None;
        };
        self.looking = None;
        // Else the runtime ends.
        let looked = looked.ok()?;
        self.stamp = looked.stamp;
        looked.found
    }
}

fn look(path: &Path, before: Stamp) -> Look {
    let stamp = stamp(path);
    // A file's time has ticks: one that was changed just now is read once more.
    let is_fresh = stamp.is_some_and(|(.., changed)| {
        let age = i64::try_from(unix_ms()).map_or(0, |now| now - changed);
        (0..=FRESH_MS).contains(&age)
    });
    let is_news = stamp != before;
    let found = (is_news || is_fresh).then(|| Found {
        text: read_revoke_file(path),
        is_news,
    });
    Look { stamp, found }
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    let changed = meta.ctime() * 1_000 + meta.ctime_nsec() / 1_000_000;
    Some((meta.dev(), meta.ino(), meta.size(), changed))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn storage_that_hangs_keeps_nobody_waiting_and_is_asked_once() {
        let (answer, hanging) = mpsc::channel::<()>();
        let hanging = Mutex::new(hanging);
        let looks = Arc::new(AtomicUsize::new(0));
        let count = looks.clone();
        let mut file = RevokeFile::new(PathBuf::from("list"));
        file.look = Arc::new(move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = hanging.lock().unwrap().recv();
            let text = Ok("one".to_owned());
            Look {
                stamp: None,
                found: Some(Found {
                    text,
                    is_news: true,
                }),
            }
        });
        for _ in 0..3 {
            assert!(file.changed().await.is_none());
        }
        answer.send(()).unwrap();
        let found = loop {
            if let Some(found) = file.changed().await {
                break found;
            }
        };
        assert_eq!(found.text.unwrap(), "one");
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        drop(answer);
    }

    #[tokio::test]
    async fn a_file_is_read_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        std::fs::write(&path, "one").unwrap();
        let mut file = RevokeFile::new(path.clone());
        for text in ["one", "two, longer"] {
            std::fs::write(&path, text).unwrap();
            loop {
                match file.changed().await {
                    Some(found) if found.is_news => break assert_eq!(found.text.unwrap(), text),
                    _ => {}
                }
            }
        }
        std::fs::remove_file(&path).unwrap();
        let found = loop {
            if let Some(found) = file.changed().await {
                break found;
            }
        };
        assert!(found.is_news && found.text.is_err());
    }
}
