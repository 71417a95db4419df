//! A file that is read again when it changes, however it is changed: written in place, replaced by
//! another (also behind a symbolic link), removed, made later.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{fs, io};

/// A file that was written less than this before it was read may change again without a later time:
/// the kernel counts file times in ticks of up to 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// Most bytes that are read; block lists in hosts files have some ten million.
const MAX_BYTES: u64 = 64 << 20;

/// What tells one state of a file from another. `None`: there is no such file, or none to be read.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

type Parse<T> = Arc<dyn Fn(&str) -> T + Send + Sync>;

/// The file's content as `T`.
pub(super) struct Watched<T> {
    path: PathBuf,
    parse: Parse<T>,
    /// As of a stamp after which every change shows.
    known: Mutex<Option<(Stamp, Arc<T>)>>,
}

impl<T: Send + Sync + 'static> Watched<T> {
    pub(super) fn new(path: &Path, parse: impl Fn(&str) -> T + Send + Sync + 'static) -> Self {
        Self {
            path: path.to_owned(),
            parse: Arc::new(parse),
            known: Mutex::default(),
        }
    }

    /// The content as of now; that of an empty file if it cannot be read.
    pub(super) async fn current(&self) -> Arc<T> {
        let stamp = stamp(&self.path);
        if let Some((known, content)) = &*self.lock()
            && *known == stamp
        {
            return content.clone();
        }
        let (path, parse) = (self.path.clone(), self.parse.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let text = read(&path).unwrap_or_default();
            Arc::new(parse(&String::from_utf8_lossy(&text)))
        });
        let content = match reading.await {
            Ok(content) => content,
            // The runtime ends; nobody waits for the answer.
            Err(_) => Arc::new((self.parse)("")),
        };
        // Taken before reading: what changed meanwhile is read again.
        let shows = stamp.as_ref().is_none_or(is_settled);
        *self.lock() = shows.then(|| (stamp, content.clone()));
        content
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Stamp, Arc<T>)>> {
        self.known.lock().expect("no panic while locked")
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((
        meta.dev(),
        meta.ino(),
        meta.size(),
        (meta.mtime(), meta.mtime_nsec()),
        (meta.ctime(), meta.ctime_nsec()),
    ))
}

/// Whether a later change would show.
fn is_settled(stamp: &(u64, u64, u64, (i64, i64), (i64, i64))) -> bool {
    let (seconds, nanoseconds) = stamp.4;
    let changed = Duration::new(
        u64::try_from(seconds).unwrap_or(0),
        u32::try_from(nanoseconds).unwrap_or(0),
    );
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH + changed)
        .is_ok_and(|age| age > TICK)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_way_of_changing_a_file_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let watched = Watched::new(&link, str::to_owned);
        assert_eq!(*watched.current().await, "", "missing");
        fs::write(&path, "one").unwrap();
        assert_eq!(*watched.current().await, "one", "made");
        fs::write(&path, "two").unwrap();
        assert_eq!(*watched.current().await, "two", "written, equal in size");
        let new = dir.path().join("new");
        fs::write(&new, "six").unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(*watched.current().await, "six", "replaced");
        let other = dir.path().join("other");
        fs::write(&other, "ten").unwrap();
        let turned = dir.path().join("turned");
        std::os::unix::fs::symlink(&other, &turned).unwrap();
        fs::rename(&turned, &link).unwrap();
        assert_eq!(*watched.current().await, "ten", "the link leads elsewhere");
        fs::remove_file(&link).unwrap();
        assert_eq!(*watched.current().await, "", "removed");
        fs::create_dir(&link).unwrap();
        assert_eq!(*watched.current().await, "", "a folder");
    }

    #[tokio::test]
    async fn an_unchanged_file_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        fs::write(&path, "one").unwrap();
        let watched = Watched::new(&path, str::to_owned);
        while !is_settled(&stamp(&path).unwrap()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let first = watched.current().await;
        assert!(Arc::ptr_eq(&first, &watched.current().await));
    }
}
