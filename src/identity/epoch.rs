//! The epoch: a number that grows with every start, so that a restarted agent is believed at once.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, Loaded, Warning};

/// The file under `agent.data_dir`.
const FILE: &str = "epoch";

/// How far ahead of the clock an epoch may be, milliseconds; larger ones are refused and not stored.
///
/// So far that no clock, however wrong, has an honest agent refused. As the clock goes on so does the
/// bound: whatever was signed with a stolen key, a millisecond later there is an epoch past it.
pub const MAX_EPOCH_AHEAD_MS: u64 = 1 << 61;

/// The epoch could not be read or made durable.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    #[error("cannot read epoch file {}; check its owner and mode", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write epoch file {}; check the folder's owner, mode and free space", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The epoch of this start: the larger of the last one plus 1 and `unix_ms`.
///
/// It is on disk when this returns, so that two starts never share an epoch even if the power
/// fails or the clock runs backwards. A file without a number, or with one that others would refuse,
/// falls back to `unix_ms` and warns.
pub fn next_epoch(data_dir: &Path, unix_ms: u64) -> Result<Loaded<u64>, EpochError> {
    let path = data_dir.join(FILE);
    let write_error = |source| EpochError::Write {
        path: path.clone(),
        source,
    };
    files::create_private_dir(data_dir).map_err(write_error)?;
    let (last, warning) = match std::fs::read(&path) {
        Ok(bytes) => match parse(&bytes, unix_ms) {
            Some(last) => (Some(last), None),
            None => (None, Some(Warning::EpochCorrupt { path: path.clone() })),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
        Err(source) => return Err(EpochError::Read { path, source }),
    };
    let epoch = last.map_or(unix_ms, |last| unix_ms.max(last + 1));
    files::replace(&path, format!("{epoch}\n").as_bytes(), files::PUBLIC).map_err(write_error)?;
    Ok(Loaded {
        value: epoch,
        warning,
    })
}

/// Stores an epoch that this process moved on to, so that the next start goes past it.
pub fn store_epoch(data_dir: &Path, epoch: u64) -> Result<(), EpochError> {
    let path = data_dir.join(FILE);
    files::replace(&path, format!("{epoch}\n").as_bytes(), files::PUBLIC)
        .map_err(|source| EpochError::Write { path, source })
}

/// The stored epoch, unless it is no number or the next one would be refused.
fn parse(bytes: &[u8], unix_ms: u64) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number: u64 = text.trim_end().parse().ok()?;
    (number < unix_ms.saturating_add(MAX_EPOCH_AHEAD_MS)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_grow_even_when_the_clock_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        for (clock, expected) in [(1000, 1000), (1000, 1001), (5, 1002), (9000, 9000)] {
            let epoch = next_epoch(&data, clock).unwrap();
            assert_eq!(epoch.value, expected);
            assert_eq!(epoch.warning, None);
        }
    }

    #[test]
    fn the_next_start_goes_past_a_stored_epoch() {
        let dir = tempfile::tempdir().unwrap();
        next_epoch(dir.path(), 1_000).unwrap();
        store_epoch(dir.path(), 5_000).unwrap();
        assert_eq!(next_epoch(dir.path(), 1_000).unwrap().value, 5_001);
    }

    #[test]
    fn a_corrupt_file_falls_back_to_the_clock_and_heals() {
        for corrupt in [
            &b""[..],
            b"soon",
            b"-4",
            b"18446744073709551615",
            // One past the largest with a clock of 77: 2^61 and 77.
            b"2305843009213694029",
            b"\xff\xfe",
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), corrupt).unwrap();
            let epoch = next_epoch(dir.path(), 77).unwrap();
            assert_eq!(epoch.value, 77);
            assert!(matches!(epoch.warning, Some(Warning::EpochCorrupt { .. })));
            let healed = next_epoch(dir.path(), 77).unwrap();
            assert_eq!((healed.value, healed.warning), (78, None));
        }
    }

    #[test]
    fn an_epoch_far_ahead_of_the_clock_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        store_epoch(dir.path(), 1_000 + MAX_EPOCH_AHEAD_MS - 1).unwrap();
        let epoch = next_epoch(dir.path(), 1_000).unwrap();
        assert_eq!(epoch.value, 1_000 + MAX_EPOCH_AHEAD_MS);
        assert_eq!(epoch.warning, None);
    }

    #[test]
    fn an_unreadable_file_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(FILE)).unwrap();
        let error = next_epoch(dir.path(), 1).unwrap_err();
        assert!(error.to_string().contains("epoch"), "{error}");
    }
}
