//! The text of a unit. Pure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Config;

/// What is shipped, of which a few lines are changed.
const TEMPLATE: &str = include_str!("../../../configs/systemd/warren.service");

/// The first line of what this command wrote, and may write over and remove.
pub(super) const MARK: &str = "# Written by `warren service install`, which writes over changes; \
                               make yours in a drop-in (`systemctl edit`).";

/// Where StateDirectory= is.
const STATE: &str = "/var/lib";

/// Folders that are another process's private ones, or hidden from a unit that is hardened.
const HIDDEN: [&str; 2] = ["/tmp", "/var/tmp"];
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Beyond what a drain may take.
const MARGIN: Duration = Duration::from_secs(15);

/// What a unit is to run.
pub(super) struct Wanted {
    /// Without `.service`.
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) program: PathBuf,
    pub(super) user: String,
}

/// A unit for a file.
#[derive(Debug)]
pub(super) struct Unit {
    name: String,
    user: String,
    text: String,
}

impl Unit {
    /// The unit that runs `wanted`, whose file holds `config`; why there can be none.
    pub(super) fn new(wanted: &Wanted, config: &Config) -> Result<Self, String> {
        let data_dir = std::path::absolute(&config.agent.data_dir)
            .map_err(|error| format!("agent.data_dir: {error}"))?;
        let paths = [&wanted.file, &wanted.program, &data_dir];
        for path in paths {
            if HIDDEN.iter().any(|hidden| path.starts_with(hidden)) {
                let path = path.display();
                return Err(format!(
                    "{path}: a unit has a /tmp of its own, and would not find it; keep it elsewhere"
                ));
            }
        }
        let user = checked_user(&wanted.user)?;
        let (program, file) = (quoted(&wanted.program)?, quoted(&wanted.file)?);
        let mut lines = Lines::of(TEMPLATE);
        lines.set(
            "Description",
            &format!("warren agent of {}", escaped(&wanted.file)?),
        );
        lines.set("User", user);
        lines.set("ExecStart", &format!("{program} run -c {file}"));
        let end = config.drain.notice + config.drain.timeout + MARGIN;
        lines.set("TimeoutStopSec", &format!("{}s", end.as_secs()));
        match state_directory(&data_dir) {
            Some(state) => lines.set("StateDirectory", state),
            None => {
                lines.remove("StateDirectory");
                lines.remove("StateDirectoryMode");
                lines.add_after(
                    "ProtectSystem",
                    &format!("ReadWritePaths=-{}", quoted(&data_dir)?),
                );
            }
        }
        if paths
            .iter()
            .any(|path| HOMES.iter().any(|home| path.starts_with(home)))
        {
            lines.set("ProtectHome", "read-only");
        }
        if ports(config).any(|port| (1..1024).contains(&port)) {
            lines.set("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE");
            lines.set("AmbientCapabilities", "CAP_NET_BIND_SERVICE");
            lines.set("PrivateUsers", "no");
        }
        Ok(Self {
            name: wanted.name.clone(),
            user: user.to_owned(),
            text: lines.text(),
        })
    }

    /// With its ending.
    pub(super) fn name(&self) -> String {
        file_name(&self.name)
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// The file of a unit of this name.
pub(super) fn file_name(name: &str) -> String {
    format!("{name}.service")
}

/// `warren` for `agent.yaml`, `warren-exit-a` for `exit-a.yaml`.
pub(super) fn name_of(file: &Path) -> Result<String, String> {
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("agent") => Ok("warren".to_owned()),
        Some(stem) => Ok(format!("warren-{stem}")),
        None => Err(format!(
            "{} has no name for a unit; give --name",
            file.display()
        )),
    }
}

/// A name that systemd takes for a unit which is no template.
pub(super) fn checked_name(name: String) -> Result<String, String> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.".contains(&byte);
    match !name.is_empty() && name.len() <= 200 && name.bytes().all(is_fit) {
        true => Ok(name),
        false => Err(format!(
            "{name:?} is no name for a unit: letters, digits, `:`, `-`, `_` and `.`; give --name"
        )),
    }
}

fn checked_user(user: &str) -> Result<&str, String> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    match !user.is_empty() && user.len() <= 31 && user.bytes().all(is_fit) {
        true => Ok(user),
        false => Err(format!("--user {user:?} is no name of a user")),
    }
}

/// The part below /var/lib of a folder that systemd may make.
fn state_directory(data_dir: &Path) -> Option<&str> {
    let below = data_dir.strip_prefix(STATE).ok()?.to_str()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    (!below.is_empty() && below.bytes().all(is_plain)).then_some(below)
}

fn ports(config: &Config) -> impl Iterator<Item = u16> {
    let links = config.listeners.iter().map(|listener| listener.address);
    let socks5 = config.socks5.iter().map(|socks5| socks5.address);
    let http = config.http.iter();
    let http = http.flat_map(|http| [Some(http.address), http.agent_check]);
    let all = links.chain(socks5).chain(http.flatten());
    all.map(|address: SocketAddr| address.port())
}

/// A path as one word of a unit.
fn quoted(path: &Path) -> Result<String, String> {
    let text = escaped(path)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@%".contains(c);
    match text.chars().all(is_plain) {
        true => Ok(text),
        false => Ok(format!(
            "\"{}\"",
            text.replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('$', "$$")
        )),
    }
}

/// A path without what systemd would replace.
fn escaped(path: &Path) -> Result<String, String> {
    let text = path
        .to_str()
        .filter(|text| !text.chars().any(char::is_control));
    let text = text.ok_or_else(|| format!("{path:?} cannot stand in a unit; rename it"))?;
    Ok(text.replace('%', "%%"))
}

/// A unit by its lines.
struct Lines(Vec<String>);

impl Lines {
    fn of(text: &str) -> Self {
        let lines = text.lines().skip(1).map(str::to_owned);
        Self(std::iter::once(MARK.to_owned()).chain(lines).collect())
    }

    fn find(&self, key: &str) -> usize {
        let is_it = |line: &String| line.split_once('=').is_some_and(|(found, _)| found == key);
        let found = self.0.iter().position(is_it);
        found.expect("the unit that is shipped has the key")
    }

    fn set(&mut self, key: &str, value: &str) {
        let at = self.find(key);
        self.0[at] = format!("{key}={value}");
    }

    fn remove(&mut self, key: &str) {
        let at = self.find(key);
        self.0.remove(at);
    }

    fn add_after(&mut self, key: &str, line: &str) {
        let at = self.find(key);
        self.0.insert(at + 1, line.to_owned());
    }

    fn text(&self) -> String {
        self.0.join("\n") + "\n"
    }
}
