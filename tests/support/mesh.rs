//! A mesh of real agents on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::WARREN;
use super::clock::WallClock;
use super::command::warren;
use super::http::{self, Answer};
use super::ports::free_port;
use super::process::Process;
use super::spec::{Ports, Spec};
use super::wait::eventually;

/// Agents with certificates of one CA, in one temporary folder.
pub(crate) struct Mesh {
    // Before the folder: agents end before their files go.
    agents: BTreeMap<String, Agent>,
    dir: tempfile::TempDir,
}

struct Agent {
    spec: Spec,
    id: String,
    ports: Ports,
    /// Ports at which it dials peers instead of theirs.
    detours: BTreeMap<String, u16>,
    clock: Option<WallClock>,
    process: Option<Process>,
}

impl Mesh {
    /// A mesh without agents.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("the system has a folder for temporary files");
        let out = path_text(dir.path());
        warren(&["cert", "ca", "-n", "test mesh", "-o", &out]).success();
        Self {
            agents: BTreeMap::new(),
            dir,
        }
    }

    /// A mesh of these agents, all started.
    pub(crate) fn start_all(specs: impl IntoIterator<Item = Spec>) -> Self {
        let mut mesh = Self::new();
        let mut names = Vec::new();
        for spec in specs {
            names.push(spec.name.clone());
            mesh.add(spec);
        }
        for name in names {
            mesh.start(&name);
        }
        mesh
    }

    /// Gives an agent a certificate and ports. It does not run yet.
    pub(crate) fn add(&mut self, spec: Spec) {
        let dir = path_text(self.dir());
        let mut arguments = vec!["cert", "agent", "-n", &spec.name, "--ca", &dir, "-o", &dir];
        match spec.grants.as_slice() {
            [] => arguments.push("--unrestricted"),
            grants => arguments.extend(grants.iter().map(String::as_str)),
        }
        let id = warren(&arguments).success().trim().to_owned();
        self.add_as(spec, id);
    }

    /// As [`add`](Self::add), for an agent whose `NAME.crt` and `NAME.key` are in place.
    pub(crate) fn add_as(&mut self, spec: Spec, id: String) {
        let ports = Ports {
            link: free_port(),
            socks: free_port(),
            http: free_port(),
        };
        let clock = spec
            .own_clock
            .then(|| WallClock::new(self.dir(), &spec.name));
        let agent = Agent {
            id,
            ports,
            detours: BTreeMap::new(),
            clock,
            process: None,
            spec: spec.clone(),
        };
        self.agents.insert(spec.name, agent);
    }

    /// Gives an agent that was added another shape; its file is that of before until it is written.
    pub(crate) fn respec(&mut self, spec: Spec) {
        let name = spec.name.clone();
        self.agent_mut(&name).spec = spec;
    }

    /// Gives an agent another SOCKS5 port.
    pub(crate) fn move_socks(&mut self, name: &str) {
        self.agent_mut(name).ports.socks = free_port();
    }

    /// Makes an agent listen for links where another one does; only one of them can run.
    pub(crate) fn share_link_port(&mut self, name: &str, owner: &str) {
        let port = self.agent(owner).ports.link;
        self.agent_mut(name).ports.link = port;
    }

    /// Makes an agent dial a peer at another address of loopback, such as a relay's.
    pub(crate) fn detour(&mut self, name: &str, peer: &str, address: SocketAddr) {
        let agent = self.agent_mut(name);
        agent.detours.insert(peer.to_owned(), address.port());
    }

    /// Writes the agent's file and runs it. Its peers must have been added.
    pub(crate) fn start(&mut self, name: &str) {
        let config = self.write_config(name);
        let log = self.dir().join(format!("{name}.log"));
        let agent = self.agent_mut(name);
        let mut command = limited(agent.spec.open_files);
        command.args(["run", "-c"]).arg(&config);
        if let Some(clock) = &agent.clock {
            clock.wear(&mut command);
        }
        // The old process ends before the new one binds its ports.
        agent.process = None;
        let mut process = Process::spawn(name, &mut command, &log);
        if agent.clock.is_some() {
            process.leaves(WallClock::remains(process.id()));
        }
        agent.process = Some(process);
    }

    /// Sets the clock of an agent that has one of its own, to so many seconds ahead of the host's.
    pub(crate) fn set_clock(&self, name: &str, seconds: i64) {
        let clock = self.agent(name).clock.as_ref();
        let clock = clock.unwrap_or_else(|| panic!("{name} has the host's clock"));
        clock.set(seconds);
    }

    /// Writes the agent's file and returns where it is.
    pub(crate) fn write_config(&self, name: &str) -> PathBuf {
        let agent = self.agent(name);
        let yaml = agent.spec.yaml(agent.ports, |name| {
            let peer = self.agent(name);
            let detour = agent.detours.get(name).copied();
            (peer.id.clone(), detour.unwrap_or(peer.ports.link))
        });
        let path = self.dir().join(format!("{name}.yaml"));
        std::fs::write(&path, yaml).expect("the test's folder is writable");
        path
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn id(&self, name: &str) -> &str {
        &self.agent(name).id
    }

    pub(crate) fn socks(&self, name: &str) -> SocketAddr {
        loopback(self.agent(name).ports.socks)
    }

    pub(crate) fn http(&self, name: &str) -> SocketAddr {
        loopback(self.agent(name).ports.http)
    }

    pub(crate) fn link(&self, name: &str) -> SocketAddr {
        loopback(self.agent(name).ports.link)
    }

    /// The argument of `--api`.
    pub(crate) fn api_url(&self, name: &str) -> String {
        format!("http://{}", self.http(name))
    }

    /// The process of an agent that was started.
    pub(crate) fn process(&mut self, name: &str) -> &mut Process {
        let process = self.agent_mut(name).process.as_mut();
        process.unwrap_or_else(|| panic!("{name} was not started"))
    }

    /// Ends an agent as by SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) {
        self.process(name).kill();
    }

    pub(crate) fn get(&self, name: &str, path: &str) -> Answer {
        http::get(self.http(name), path)
            .unwrap_or_else(|error| panic!("GET {path} from {name}: {error}"))
    }

    /// `GET /healthz`, or `None` while the agent does not answer.
    pub(crate) fn healthz(&self, name: &str) -> Option<Value> {
        let answer = http::get(self.http(name), "/healthz").ok()?;
        Some(answer.json())
    }

    /// The sum over all label sets of a metric; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str, metric: &str) -> f64 {
        let text = self.get(name, "/metrics").body;
        let samples = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(metric)?;
            let value = match rest.strip_prefix('{') {
                Some(labels) => labels.rsplit_once("} ")?.1,
                None => rest.strip_prefix(' ')?,
            };
            value.split(' ').next()?.parse::<f64>().ok()
        });
        samples.sum()
    }

    /// `GET /api/explain`, or `None` while the agent does not answer.
    pub(crate) fn explain(&self, name: &str, dest: &str) -> Option<Value> {
        let path = format!("/api/explain?dest={dest}");
        let answer = http::get(self.http(name), &path).ok()?;
        (answer.status == 200).then(|| answer.json())
    }

    /// The names of the hops that new connections to `dest` take, the exit last.
    pub(crate) fn chosen(&self, name: &str, dest: &str) -> Option<Vec<String>> {
        let explained = self.explain(name, dest)?;
        self.names(&explained["chosen"]["path"])
    }

    /// Waits until the agent can carry traffic.
    pub(crate) fn await_ready(&self, name: &str) {
        eventually(&format!("{name} is ready"), || {
            let answer = http::get(self.http(name), "/ready").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Waits until the agent has so many live links.
    pub(crate) fn await_peers(&self, name: &str, count: u64) {
        eventually(&format!("{name} has {count} links"), || {
            let peers = self.healthz(name)?["peers"].as_u64()?;
            (peers == count).then_some(())
        });
    }

    /// Waits until new connections from `name` to `dest` take this path.
    pub(crate) fn await_chosen(&self, name: &str, dest: &str, path: &[&str]) {
        eventually(&format!("{name} reaches {dest} by {path:?}"), || {
            (self.chosen(name, dest)? == path).then_some(())
        });
    }

    /// Waits until `name` knows all these paths to `dest`: chosen, held ready, or rejected.
    pub(crate) fn await_paths(&self, name: &str, dest: &str, paths: &[&[&str]]) {
        eventually(&format!("{name} knows {paths:?} to {dest}"), || {
            let known = self.known_paths(name, dest)?;
            let has = |path: &&[&str]| known.iter().any(|known| known == path);
            paths.iter().all(has).then_some(())
        });
    }

    /// How many routes of `name` have a second path held ready.
    pub(crate) fn routes_with_alternate(&self, name: &str) -> usize {
        let routes = self.get(name, "/api/routes").json();
        let routes = routes.as_array().expect("a list").iter();
        routes.filter(|route| !route["alternate"].is_null()).count()
    }

    fn known_paths(&self, name: &str, dest: &str) -> Option<Vec<Vec<String>>> {
        let explained = self.explain(name, dest)?;
        let routes = http::get(self.http(name), "/api/routes").ok()?.json();
        let candidates = explained["candidates"].as_array()?.iter();
        let held = routes.as_array()?.iter();
        let paths = candidates
            .map(|candidate| &candidate["path"])
            .chain(held.map(|route| &route["alternate"]))
            .chain([&explained["chosen"]["path"]]);
        Some(paths.filter_map(|path| self.names(path)).collect())
    }

    /// Waits until the agent's log has a line with all these words.
    pub(crate) fn await_log(&mut self, name: &str, words: &[&str]) -> String {
        let process = self.process(name);
        eventually(&format!("{name} logs {words:?}"), || {
            let log = process.log();
            let has = |line: &&str| words.iter().all(|word| line.contains(word));
            log.lines().find(has).map(str::to_owned)
        })
    }

    /// Waits for an agent to end by itself and returns its exit code.
    pub(crate) fn await_exit(&mut self, name: &str, limit: Duration) -> Option<i32> {
        self.process(name).wait_exit(limit).code()
    }

    fn names(&self, path: &Value) -> Option<Vec<String>> {
        let ids = path.as_array()?.iter();
        let name = |id: &Value| {
            let id = id.as_str().expect("ids are strings");
            let known = self.agents.iter().find(|(_, agent)| agent.id == id);
            known.map_or_else(|| id.to_owned(), |(name, _)| name.clone())
        };
        Some(ids.map(name).collect())
    }

    fn agent(&self, name: &str) -> &Agent {
        let agent = self.agents.get(name);
        agent.unwrap_or_else(|| panic!("no agent {name} in this mesh"))
    }

    fn agent_mut(&mut self, name: &str) -> &mut Agent {
        let agent = self.agents.get_mut(name);
        agent.unwrap_or_else(|| panic!("no agent {name} in this mesh"))
    }
}

/// The binary, with a limit of open files that it cannot raise.
fn limited(open_files: Option<u32>) -> Command {
    let Some(limit) = open_files else {
        return Command::new(WARREN);
    };
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    shell.args(["-c", &script, WARREN]);
    shell
}

/// A path as a command's argument.
pub(crate) fn path_text(path: &Path) -> String {
    let text = path.to_str();
    text.expect("temporary folders have UTF-8 names").to_owned()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
