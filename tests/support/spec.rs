//! What an agent of a test mesh is: its YAML, in parts.

use std::fmt::Write as _;

/// Patience, because a debug build on a busy machine may stop for longer than a third of a second;
/// and quick reconnection, so that a test of recovery does not wait for the default back-off.
const CONNECTIONS: &str =
    "heartbeat: 100ms, dead_after: 10, reconnect: { initial_delay: 200ms, max_delay: 1s }";

/// An agent to be. Without [`listen`](Self::listen) nobody can dial it.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: String,
    /// What `agent.id` insists on.
    id: String,
    /// The key in `data_dir` instead of a certificate of the mesh CA.
    self_signed: bool,
    listens: bool,
    /// Name in the mesh and cost.
    peers: Vec<(String, u32)>,
    socks5: Option<String>,
    exit: Option<String>,
    connections: String,
    http: String,
    extra: String,
    /// Runs on a wall clock that the test can set.
    pub(crate) own_clock: bool,
    /// The limit of open files that it may not raise; none: the tests' own.
    pub(crate) open_files: Option<u32>,
    /// More arguments of `warren cert agent`; none: `--unrestricted`.
    pub(crate) grants: Vec<String>,
}

/// The ports of one agent, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) link: u16,
    pub(crate) socks: u16,
    pub(crate) http: u16,
}

impl Spec {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: "auto".to_owned(),
            self_signed: false,
            listens: false,
            peers: Vec::new(),
            socks5: None,
            exit: None,
            connections: CONNECTIONS.to_owned(),
            http: String::new(),
            extra: String::new(),
            own_clock: false,
            open_files: None,
            grants: Vec::new(),
        }
    }

    /// Insists on this id.
    pub(crate) fn id(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    /// Has the key in its `data_dir`, and no CA.
    pub(crate) fn self_signed(mut self) -> Self {
        self.self_signed = true;
        self
    }

    /// Accepts links.
    pub(crate) fn listen(mut self) -> Self {
        self.listens = true;
        self
    }

    /// Dials another agent of the mesh at cost 1.
    pub(crate) fn peer(self, name: &str) -> Self {
        self.peer_at(name, 1)
    }

    /// Dials another agent of the mesh.
    pub(crate) fn peer_at(mut self, name: &str, cost: u32) -> Self {
        self.peers.push((name.to_owned(), cost));
        self
    }

    /// Serves SOCKS5 without authentication.
    pub(crate) fn socks5(self) -> Self {
        self.socks5_with("")
    }

    /// Serves SOCKS5 with more keys of that section (a flow mapping without its braces).
    pub(crate) fn socks5_with(mut self, keys: &str) -> Self {
        self.socks5 = Some(keys.to_owned());
        self
    }

    /// Is an exit with these keys of that section (a flow mapping without its braces).
    pub(crate) fn exit(mut self, keys: &str) -> Self {
        self.exit = Some(keys.to_owned());
        self
    }

    /// Replaces the keys of `connections` (a flow mapping without its braces).
    pub(crate) fn connections(mut self, keys: &str) -> Self {
        self.connections = keys.to_owned();
        self
    }

    /// Adds keys to `http` (a flow mapping without its braces).
    pub(crate) fn http(mut self, keys: &str) -> Self {
        self.http = keys.to_owned();
        self
    }

    /// Runs on a wall clock of its own, which the test can set.
    pub(crate) fn own_clock(mut self) -> Self {
        self.own_clock = true;
        self
    }

    /// May have so many files open.
    pub(crate) fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Adds YAML at the top level.
    pub(crate) fn extra(mut self, yaml: &str) -> Self {
        self.extra.push_str(yaml);
        self.extra.push('\n');
        self
    }

    /// Adds arguments to `warren cert agent`, which is `--unrestricted` without.
    pub(crate) fn grants(mut self, arguments: &[&str]) -> Self {
        self.grants
            .extend(arguments.iter().map(|text| (*text).to_owned()));
        self
    }

    /// The file. `known` gives id and link port of another agent.
    pub(crate) fn yaml(&self, ports: Ports, known: impl Fn(&str) -> (String, u16)) -> String {
        let Self { name, id, .. } = self;
        let level = std::env::var("WARREN_TEST_LOG").unwrap_or_else(|_| "info".to_owned());
        let mut yaml = format!(
            "agent:\n  id: {id}\n  display_name: {name}\n  data_dir: ./{name}-data\n  \
             log_level: '{level}'\n\
             http: {{ address: '127.0.0.1:{}', {} }}\n\
             connections: {{ {} }}\n",
            ports.http, self.http, self.connections
        );
        let mut line = |text: String| {
            yaml.push_str(&text);
            yaml.push('\n');
        };
        if !self.self_signed {
            line(format!(
                "tls: {{ ca: ca.crt, cert: {name}.crt, key: {name}.key }}"
            ));
        }
        // Without peers an agent listens at 4433 by itself, which two tests would share.
        let alone = self.peers.is_empty() && !self.extra.contains("listeners:");
        if self.listens || alone {
            let address = format!("127.0.0.1:{}", ports.link);
            line(format!(
                "listeners: [{{ transport: quic, address: '{address}' }}]"
            ));
        }
        if let Some(keys) = &self.socks5 {
            let address = format!("127.0.0.1:{}", ports.socks);
            line(format!(
                "socks5: {{ enabled: true, address: '{address}', {keys} }}"
            ));
        }
        if let Some(keys) = &self.exit {
            line(format!("exit: {{ enabled: true, {keys} }}"));
        }
        if !self.peers.is_empty() {
            line("peers:".to_owned());
        }
        for (peer, cost) in &self.peers {
            let (id, port) = known(peer);
            line(format!(
                "  - {{ id: '{id}', transport: quic, address: '127.0.0.1:{port}', cost: {cost} }}"
            ));
        }
        let _ = write!(yaml, "{}", self.extra);
        yaml
    }
}
