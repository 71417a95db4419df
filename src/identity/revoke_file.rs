//! Reading a file of revocations: never more than a bounded part of it, and nothing that may never end.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Most bytes of the file: some 30,000 lines. What is more is not read, and told.
const MAX_BYTES: u64 = 1 << 20;

/// The text of the file at `path`, for [`Revocations::parse`](super::Revocations::parse). An error, in
/// words, is also a file of more than 1 MiB, and what is no regular file: a FIFO without a writer would
/// be waited for without end.
pub fn read_revoke_file(path: &Path) -> Result<String, String> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path);
    let file = opened.map_err(|error| error.to_string())?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|error| error.to_string())? as u64 {
        0..=MAX_BYTES => Ok(text),
        _ => Err(format!("longer than {MAX_BYTES} bytes")),
    }
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
        fs::write(path("list"), "one\n").unwrap();
        std::os::unix::fs::symlink("list", path("link")).unwrap();
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::write(path("full"), "#".repeat(1 << 20)).unwrap();
        fs::write(path("long"), "#".repeat((1 << 20) + 1)).unwrap();
        for name in ["list", "link"] {
            assert_eq!(read_revoke_file(&path(name)).unwrap(), "one\n");
        }
        assert_eq!(read_revoke_file(&path("full")).unwrap().len(), 1 << 20);
        for (name, why) in [
            ("fifo", "not a regular file"),
            (".", "not a regular file"),
            ("/dev/zero", "not a regular file"),
            ("long", "longer than"),
            ("none", "No such file"),
        ] {
            let error = read_revoke_file(&path(name)).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
