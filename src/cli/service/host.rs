//! Units on a host, or below another root: files, and systemd's own programs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::unit::{MARK, Unit, file_name};

/// Where the operator's units and users are.
const UNITS: &str = "etc/systemd/system";
const USERS: &str = "etc/sysusers.d";

const NO_SYSTEMD: &str = "is there systemd? Elsewhere run `warren run -c FILE` under what supervises \
                          processes there";

/// A host, or a system below a folder.
pub(super) struct Host {
    /// `None`: this host.
    root: Option<PathBuf>,
}

/// What is in the place of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Installed {
    /// That unit.
    Current,
    /// One that this command wrote, for another file or by another version.
    Other,
    /// One that somebody else wrote.
    Foreign,
    No,
}

/// What becomes of a unit.
pub(super) struct Seen {
    pub(super) path: PathBuf,
    pub(super) installed: Installed,
    /// As systemd says it.
    pub(super) enabled: String,
    /// The same; `None`: nothing runs there.
    pub(super) active: Option<String>,
}

impl Host {
    pub(super) fn new(root: Option<&Path>) -> Self {
        Self {
            root: root.map(Path::to_owned),
        }
    }

    /// Writes the unit and its user, and has it started. What was done, a line each.
    pub(super) fn put(&self, unit: &Unit) -> anyhow::Result<Vec<String>> {
        let (path, name) = (self.unit(&unit.name()), unit.name());
        let before = installed(&path, unit.text())?;
        if before == Installed::Foreign {
            bail!(
                "{} was not made by this command: remove it, or give the new one another --name",
                path.display()
            );
        }
        let user = format!("u {} - \"warren agent\"\n", unit.user());
        let users = self
            .place(USERS)
            .join(format!("warren-{}.conf", unit.user()));
        let mut done = vec![write(&users, &format!("{MARK}\n{user}"))?];
        self.call("systemd-sysusers", &[&users.to_string_lossy()])?;
        done.push(write(&path, unit.text())?);
        match &self.root {
            Some(_) => self.call("systemctl", &["enable", &name])?,
            None => {
                self.call("systemctl", &["daemon-reload"])?;
                self.call("systemctl", &["enable", "--now", "--no-block", &name])?;
            }
        }
        done.push(format!("{name} is enabled"));
        if before == Installed::Other && self.root.is_none() {
            done.push(format!(
                "one that runs already goes on as it was started: `systemctl restart {name}`"
            ));
        }
        Ok(done)
    }

    /// Stops the unit and removes it. What was done, a line each.
    pub(super) fn remove(&self, name: &str) -> anyhow::Result<Vec<String>> {
        let name = file_name(name);
        let path = self.unit(&name);
        match installed(&path, "")? {
            Installed::No => return Ok(vec![format!("{} is not there", path.display())]),
            Installed::Foreign => bail!("{} was not made by this command", path.display()),
            Installed::Current | Installed::Other => {}
        }
        match &self.root {
            Some(_) => self.call("systemctl", &["disable", &name])?,
            None => self.call("systemctl", &["disable", "--now", &name])?,
        }
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        if self.root.is_none() {
            self.call("systemctl", &["daemon-reload"])?;
        }
        Ok(vec![format!("{} is removed", path.display())])
    }

    /// Looks, and changes nothing.
    pub(super) fn look(&self, unit: &Unit) -> anyhow::Result<Seen> {
        let path = self.unit(&unit.name());
        let active = match &self.root {
            Some(_) => None,
            None => Some(self.ask("is-active", &unit.name())?),
        };
        Ok(Seen {
            installed: installed(&path, unit.text())?,
            enabled: self.ask("is-enabled", &unit.name())?,
            active,
            path,
        })
    }

    fn place(&self, folder: &str) -> PathBuf {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        root.join(folder)
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.place(UNITS).join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(root) = &self.root {
            let mut argument = std::ffi::OsString::from("--root=");
            argument.push(root);
            command.arg(argument);
        }
        command
    }

    fn call(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let output = self.command(program).args(arguments).output();
        let output = output.with_context(|| format!("cannot run {program}; {NO_SYSTEMD}"))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            let last = told.trim().lines().last().unwrap_or("it says nothing");
            bail!("{program} {}: {last}", arguments.join(" "));
        }
        Ok(())
    }

    /// What `systemctl` says in one word, which its exit code says, too.
    fn ask(&self, question: &str, name: &str) -> anyhow::Result<String> {
        let output = self.command("systemctl").args([question, name]).output();
        let output = output.with_context(|| format!("cannot run systemctl; {NO_SYSTEMD}"))?;
        let word = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(match word.is_empty() {
            true => "no".to_owned(),
            false => word,
        })
    }
}

/// What is at `path`, where `text` is wanted.
fn installed(path: &Path, text: &str) -> anyhow::Result<Installed> {
    match fs::read_to_string(path) {
        Ok(found) if found == text => Ok(Installed::Current),
        Ok(found) if found.starts_with(MARK) => Ok(Installed::Other),
        Ok(_) => Ok(Installed::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Installed::No),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Makes a file hold `text`, whole or not at all, and says what it took.
fn write(path: &Path, text: &str) -> anyhow::Result<String> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(format!("{} is as it should be", path.display()));
    }
    let cannot = || {
        format!(
            "cannot write {}; run it as root, or with --root",
            path.display()
        )
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).with_context(cannot)?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(cannot)?;
    Ok(format!("{} is written", path.display()))
}
