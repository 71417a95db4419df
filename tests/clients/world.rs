//! The mesh that the clients use: an exit that resolves names, and an ingress.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::support::command::run;
use crate::support::dns::Dns;
use crate::support::{Mesh, Spec, Target, WARREN, pattern};

/// A name that only the exit can resolve.
pub(crate) const NAME: &str = "inside.corp.example";

pub(crate) const USER: &str = "alice";
/// Without a space, which proxychains' file cannot hold.
pub(crate) const PASSWORD: &str = "correct-horse";

/// Bytes of one download: many times what one packet or one buffer holds.
pub(crate) const SIZE: usize = 3_000_017;

/// A running mesh and a target.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    pub(crate) target: Target,
    _dns: Dns,
}

impl World {
    /// An ingress for everyone.
    pub(crate) fn open() -> Self {
        Self::with("")
    }

    /// An ingress for [`USER`] alone.
    pub(crate) fn guarded() -> Self {
        let hash = run(Command::new(WARREN).arg("hash"), &format!("{PASSWORD}\n")).success();
        let hash = hash.trim();
        Self::with(&format!(
            "auth: {{ enabled: true, users: [{{ username: {USER}, password_hash: '{hash}' }}] }}"
        ))
    }

    fn with(socks5: &str) -> Self {
        let dns = Dns::start(&[(NAME, Ipv4Addr::LOCALHOST)]);
        let exit = format!(
            "routes: [127.0.0.0/8], domain_routes: ['*.corp.example'], dns: {{ servers: ['{}'] }}",
            dns.address()
        );
        let mesh = Mesh::start_all([
            Spec::new("exit").listen().exit(&exit),
            Spec::new("transit").listen().peer("exit"),
            Spec::new("ingress").socks5_with(socks5).peer("transit"),
        ]);
        mesh.await_chosen("ingress", NAME, &["transit", "exit"]);
        Self {
            mesh,
            target: Target::start(),
            _dns: dns,
        }
    }

    pub(crate) fn socks(&self) -> SocketAddr {
        self.mesh.socks("ingress")
    }

    /// The URL of [`SIZE`] checkable bytes on `host`.
    pub(crate) fn url(&self, host: &str) -> String {
        format!("http://{host}:{}/{SIZE}", self.target.address().port())
    }

    /// Checks a file with the download.
    pub(crate) fn check(&self, file: &Path) {
        check_bytes(&std::fs::read(file).expect("the client wrote a file"));
    }
}

/// Checks the bytes of one download.
pub(crate) fn check_bytes(bytes: &[u8]) {
    assert_eq!(bytes.len(), SIZE, "length of the download");
    assert_eq!(pattern::first_wrong(bytes, 0), None, "first wrong byte");
}
