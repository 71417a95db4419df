//! Whether the agent can keep what it keeps in `agent.data_dir`.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use super::CheckLine;
use crate::config::Config;

const SUBJECT: &str = "agent.data_dir";

/// Room for the epoch, which is written beside the old one, and for a key with its certificate: a few
/// blocks.
const ROOM: u64 = 64 * 1024;

/// Asks for this process's user: run it as the agent will be run.
pub(super) fn check(config: &Config) -> Vec<CheckLine> {
    let dir = &config.agent.data_dir;
    let keeps_key = config.tls.cert_and_key.is_none() && !dir.join("identity.key").exists();
    vec![match obstacle(dir) {
        Ok(text) => CheckLine::ok(SUBJECT, text),
        Err(why) if keeps_key => {
            CheckLine::fail(SUBJECT, format!("{why}: no identity can be made"))
        }
        Err(why) => CheckLine::warn(
            SUBJECT,
            format!(
                "{why}: the epoch cannot be kept, so others may ignore this agent for a while after a \
                 restart with a clock that was set back"
            ),
        ),
    }]
}

/// What will be; the error says what stands in the way.
fn obstacle(dir: &Path) -> Result<String, String> {
    let (there, exists) = existing(dir)?;
    accessat(
        CWD,
        &there,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .map_err(|error| cannot(&there, error.into()))?;
    let (free, files) = match statvfs(&there) {
        // Some file systems count no files.
        Ok(space) => (
            space.f_bavail.saturating_mul(space.f_frsize),
            (space.f_files > 0).then_some(space.f_favail),
        ),
        Err(error) => return Err(cannot(&there, error.into())),
    };
    let shown = dir.display();
    if free < ROOM {
        return Err(format!(
            "the file system of {shown} is full, {free} bytes are free; make room"
        ));
    }
    if files == Some(0) {
        return Err(format!(
            "the file system of {shown} takes no more files (inodes); remove some"
        ));
    }
    Ok(match exists {
        true => format!("{shown} can be written"),
        false => format!("{shown} is made at the start"),
    })
}

/// The folder, or the nearest one above it that exists, and whether it was the folder itself.
fn existing(dir: &Path) -> Result<(PathBuf, bool), String> {
    let mut at = dir;
    loop {
        // The current folder has no name.
        let path = if at.as_os_str().is_empty() {
            Path::new(".")
        } else {
            at
        };
        match path.metadata() {
            Ok(meta) if meta.is_dir() => return Ok((path.to_owned(), at == dir)),
            Ok(_) => return Err(format!("{} is no folder; move it away", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match at.parent() {
                Some(parent) => at = parent,
                None => return Err(cannot(path, error)),
            },
            Err(error) => return Err(cannot(path, error)),
        }
    }
}

fn cannot(path: &Path, error: io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => "; give it to the agent's user (chown), mode 0700",
        io::ErrorKind::ReadOnlyFilesystem => "; take a folder on a file system that is writable",
        _ => "",
    };
    format!("cannot write in {}: {error}{advice}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixture;
    use super::*;

    fn shown(dir: &Path) -> String {
        let mut config = fixture::exit();
        config.agent.data_dir = dir.to_owned();
        check(&config)[0].to_string()
    }

    #[test]
    fn a_folder_is_used_or_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        assert_eq!(
            shown(dir.path()),
            format!("ok    agent.data_dir: {path} can be written")
        );
        let deep = dir.path().join("var/lib/warren");
        assert_eq!(
            shown(&deep),
            format!(
                "ok    agent.data_dir: {} is made at the start",
                deep.display()
            )
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing is made"
        );
        assert!(shown(Path::new("not-there-yet")).ends_with("is made at the start"));
    }

    #[test]
    fn what_cannot_be_a_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let line = shown(&path);
            assert!(line.starts_with("fail  agent.data_dir: "), "{line}");
            assert!(line.contains("file"), "{line}");
            assert!(line.ends_with("no identity can be made"), "{line}");
        }
        // The kernel makes no folder there for anybody.
        let line = shown(Path::new("/proc/sys/warren"));
        assert!(line.starts_with("fail  agent.data_dir: "), "{line}");
    }

    #[test]
    fn with_a_certificate_only_the_epoch_is_not_kept() {
        let mut config = fixture::exit();
        config.tls.cert_and_key = Some((Path::new("a.crt").into(), Path::new("a.key").into()));
        config.agent.data_dir = "/proc/self/cmdline".into();
        let line = check(&config)[0].to_string();
        assert!(line.starts_with("warn  agent.data_dir: "), "{line}");
        assert!(line.contains("epoch"), "{line}");
    }
}
