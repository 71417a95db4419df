//! Files by which others know this process: `--pid-file` and `--ready-file`. Both hold its id and a
//! newline, appear whole, and are gone when what they say is not true any more; what a killed process left
//! is removed at the start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file of this process. Dropping it removes the file, if it is still this process's.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    is_there: bool,
}

/// It cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "{option}: cannot write {}: {source}; name a file in a folder that this user may write",
    path.display()
)]
pub struct OwnFileError {
    option: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl OwnFile {
    /// Takes the place of whatever was there: it is gone until it is put. Whether it could be put is tried
    /// beside it.
    pub(super) fn claim(option: &'static str, path: &Path) -> Result<Self, OwnFileError> {
        let file = Self {
            path: path.to_owned(),
            is_there: false,
        };
        match file.clear() {
            Ok(()) => Ok(file),
            Err(source) => Err(OwnFileError {
                option,
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// It is there from now on.
    pub(super) fn put(&mut self) -> io::Result<()> {
        if self.is_there {
            return Ok(());
        }
        let temporary = self.write_beside()?;
        if let Err(error) = fs::rename(&temporary, &self.path) {
            // That error is the one to tell.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        self.is_there = true;
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        fs::remove_file(self.write_beside()?)?;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn write_beside(&self) -> io::Result<PathBuf> {
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = format!(".{}.{}", name.to_string_lossy(), std::process::id());
        let temporary = self.path.with_file_name(temporary);
        // What a killed process of the same id left; and in a folder that others may write, a link to a
        // file that is to be overwritten.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        File::create_new(&temporary)?.write_all(own().as_bytes())?;
        Ok(temporary)
    }

    /// It is there no more.
    pub(super) fn take(&mut self) -> io::Result<()> {
        let was_there = std::mem::take(&mut self.is_there);
        // A process that took this one's place has written its own.
        if was_there && fs::read_to_string(&self.path).is_ok_and(|text| text == own()) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // The process ends, and nobody is left to tell.
        let _ = self.take();
    }
}

fn own() -> String {
    format!("{}\n", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_and_goes_and_leaves_anothers_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready");
        fs::write(&path, "of a killed process").unwrap();
        let mut file = OwnFile::claim("--ready-file", &path).unwrap();
        assert!(!path.exists());
        file.put().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), own());
        file.take().unwrap();
        assert!(!path.exists());
        file.put().unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_that_lies_in_wait_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("ready"), dir.path().join("other"));
        fs::write(&other, "not ours").unwrap();
        let wait = dir.path().join(format!(".ready.{}", std::process::id()));
        for place in [&wait, &path] {
            std::os::unix::fs::symlink(&other, place).unwrap();
        }
        let mut file = OwnFile::claim("--ready-file", &path).unwrap();
        std::os::unix::fs::symlink(&other, &wait).unwrap();
        file.put().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), own());
        assert_eq!(fs::read_to_string(&other).unwrap(), "not ours");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_at_once() {
        for path in ["/nonexistent/ready", "/"] {
            let error = OwnFile::claim("--ready-file", Path::new(path)).unwrap_err();
            let begin = format!("--ready-file: cannot write {path}: ");
            assert!(error.to_string().starts_with(&begin), "{error}");
        }
    }
}
