//! Files that must never be half written: created once, or replaced whole, and on disk before
//! the caller goes on.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::AgentId;

/// Mode of files that hold secrets.
pub(super) const SECRET: u32 = 0o600;
/// Mode of files that anyone may read.
pub(super) const PUBLIC: u32 = 0o644;

/// A value read from disk, and what the operator should hear about how it was read.
#[derive(Debug)]
pub struct Loaded<T> {
    pub value: T,
    pub warning: Option<Warning>,
}

/// Something that works but should not stay as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Others than the owner may read a private key.
    KeyReadable { path: PathBuf, mode: u32 },
    /// Anybody on the host may read a file that holds a hash or a key among other things.
    SecretReadable { path: PathBuf, mode: u32 },
    /// The epoch file held no epoch; the clock was used instead.
    EpochCorrupt { path: PathBuf },
    /// The self-signed certificate was about to expire and was issued anew.
    Reissued { path: PathBuf, id: AgentId },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyReadable { path, mode } => write!(
                f,
                "private key {} has mode {mode:03o}, so that others can read it; run `chmod 600 {}`",
                path.display(),
                path.display(),
            ),
            Self::SecretReadable { path, mode } => write!(
                f,
                "{} holds a secret and has mode {mode:03o}, so that anybody on this host can read it; \
                 run `chmod o= {}`",
                path.display(),
                path.display(),
            ),
            Self::EpochCorrupt { path } => write!(
                f,
                "epoch file {} held no epoch and was replaced; if the clock was set back, peers \
                 ignore this agent until it has caught up",
                path.display(),
            ),
            Self::Reissued { path, id } => write!(
                f,
                "self-signed certificate {} of agent {id} was about to expire and was renewed; \
                 the id stays the same",
                path.display(),
            ),
        }
    }
}

/// Creates `dir` and its parents, readable by the owner alone. An existing folder stays as it is.
pub(super) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Writes a file that must not exist yet: it appears whole or not at all.
///
/// Fails with [`io::ErrorKind::AlreadyExists`] rather than overwrite, even when two processes
/// race. A hard link is what gives both properties at once; a rename would overwrite.
pub(super) fn create_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(path, bytes, mode)?;
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    linked?;
    removed?;
    sync_parent(path)
}

/// Writes a file that anyone may read whole in place of what was there.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, PUBLIC)
}

/// Writes a file whole in place of what was there.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_temporary(path, bytes, mode)?;
    if let Err(error) = fs::rename(&temporary, path) {
        // The rename's error is the one worth reporting.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_parent(path)
}

/// The warning that a private key's mode deserves.
pub(super) fn check_key_mode(path: &Path) -> io::Result<Option<Warning>> {
    let mode = mode(path)?;
    let is_loose = mode & 0o077 != 0 && !is_credential(path);
    Ok(is_loose.then(|| Warning::KeyReadable {
        path: path.to_owned(),
        mode,
    }))
}

impl Warning {
    /// What the mode of a file deserves that holds a secret among other things; its group may be the
    /// agent's.
    pub fn of_secret_file(path: &Path) -> Option<Self> {
        let mode = mode(path).ok()?;
        let is_loose = mode & 0o007 != 0 && !is_credential(path);
        is_loose.then(|| Self::SecretReadable {
            path: path.to_owned(),
            mode,
        })
    }
}

fn mode(path: &Path) -> io::Result<u32> {
    let permissions = fs::metadata(path)?.permissions();
    Ok(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777)
}

/// Whether the service manager made it for this process alone. It lets the agent's user in by an access
/// list, which looks like a group that may read.
fn is_credential(path: &Path) -> bool {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
    folder.is_some_and(|folder| path.starts_with(folder))
}

/// A synced file beside `path` under a name that only this call uses.
fn write_temporary(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.tmp", rand::random::<u64>()));
    let temporary = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&temporary)?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // The write's error is the one worth reporting.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(temporary)
}

/// Makes a new directory entry survive a power cut.
fn sync_parent(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        // Elsewhere folders cannot be opened as files; the entry is journalled.
        return Ok(());
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn a_new_file_is_whole_has_its_mode_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        create_new(&path, b"first", SECRET).unwrap();
        let error = create_new(&path, b"second", SECRET).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(entries(dir.path()), 1, "no temporary file stays behind");
        assert_eq!(check_key_mode(&path).unwrap(), None);
    }

    #[test]
    fn replacing_swaps_the_content_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("epoch");
        replace(&path, b"1", PUBLIC).unwrap();
        replace(&path, b"2", PUBLIC).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(entries(dir.path()), 1);
    }

    #[test]
    fn replacing_a_folder_fails_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"").unwrap();
        replace(&path, b"1", PUBLIC).unwrap_err();
        assert_eq!(entries(dir.path()), 1);
    }

    #[cfg(unix)]
    #[test]
    fn loose_modes_are_noticed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        create_new(&path, b"secret", SECRET).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let warning = check_key_mode(&path).unwrap().unwrap();
        assert!(warning.to_string().contains("mode 640"), "{warning}");
        assert!(warning.to_string().contains("chmod 600"), "{warning}");
    }
}
