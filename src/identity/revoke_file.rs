//! Reading a file of revocations.

use std::path::Path;

use super::regular::read_small_file;

/// Most bytes of the file: some 30,000 lines. What is more is not read, and told.
const MAX_BYTES: u64 = 1 << 20;

/// The text of the file at `path`, for [`Revocations::parse`](super::Revocations::parse). An error, in
/// words, is also a file of more than 1 MiB, and what is no regular file: a FIFO without a writer would
/// be waited for without end.
pub fn read_revoke_file(path: &Path) -> Result<String, String> {
    read_small_file(path, MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_of_bounded_size_is_read_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("list"), "one\n").unwrap();
        fs::write(path("bytes"), b"\xff").unwrap();
        fs::write(path("full"), "#".repeat(1 << 20)).unwrap();
        fs::write(path("long"), "#".repeat((1 << 20) + 1)).unwrap();
        assert_eq!(read_revoke_file(&path("list")).unwrap(), "one\n");
        assert_eq!(read_revoke_file(&path("full")).unwrap().len(), 1 << 20);
        for (name, why) in [
            (".", "directory"),
            ("/dev/zero", "not a regular file"),
            ("long", "longer than"),
            ("bytes", "not UTF-8"),
            ("none", "No such file"),
        ] {
            let error = read_revoke_file(&path(name)).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
    }
}
