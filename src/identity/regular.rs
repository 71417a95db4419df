//! Reading files that may be replaced by anything while the agent runs: never more than a bounded part,
//! and nothing that may never end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens the file at `path`. An error is also what is no regular file: a FIFO without a writer would be
/// waited for without end.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match meta.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// What it holds; an error is also a file of more than `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one beyond it.
    match file.take(most + 1).read_to_end(&mut bytes)? as u64 {
        read if read <= most => Ok(bytes),
        _ => {
            let why = format!("longer than {most} bytes");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
        }
    }
}

/// The text that the file at `path` holds. An error, in words, is also what is no regular file, a file of
/// more than `most` bytes, and what is no UTF-8.
pub fn read_small_file(path: &Path, most: u64) -> Result<String, String> {
    let bytes = read(path, most).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_regular_file_of_bounded_size_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "one\n").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        std::os::unix::fs::symlink("loop", path("loop")).unwrap();
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::write(path("full"), "#".repeat(1_000)).unwrap();
        fs::write(path("long"), "#".repeat(1_001)).unwrap();
        // 64 GiB that take no room.
        let huge = File::create(path("huge")).unwrap();
        huge.set_len(1 << 36).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&path(name), 1_000).unwrap(), b"one\n");
        }
        assert_eq!(read(&path("full"), 1_000).unwrap().len(), 1_000);
        for (name, why) in [
            ("fifo", "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (".", "directory"),
            ("long", "longer than 1000 bytes"),
            ("huge", "longer than 1000 bytes"),
            ("loop", "symbolic link"),
            ("none", "No such file"),
        ] {
            let error = read(&path(name), 1_000).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
