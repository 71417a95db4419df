//! The mesh of most failover tests: two ways from an ingress to an exit.

use super::{LOOPBACK, Mesh, Spec};

/// An address that the exit serves.
pub(crate) const DEST: &str = "127.0.0.1";

/// The cheaper way.
pub(crate) const FIRST: &[&str] = &["first", "exit"];

/// The other one.
pub(crate) const SECOND: &[&str] = &["second", "exit"];

/// Ingress, two transits, exit, in an order in which they can start.
pub(crate) fn agents() -> [Spec; 4] {
    [
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("first").listen().peer("exit"),
        Spec::new("second").listen().peer("exit"),
        Spec::new("ingress")
            .socks5()
            .peer_at("first", 1)
            .peer_at("second", 2),
    ]
}

/// The mesh of these [`agents`], once both ways are known at both ends.
pub(crate) fn start() -> Mesh {
    let mesh = Mesh::start_all(agents());
    await_both_ways(&mesh);
    mesh
}

/// Waits until both ends know both ways, and the ingress uses the cheaper one.
pub(crate) fn await_both_ways(mesh: &Mesh) {
    mesh.await_chosen("ingress", DEST, FIRST);
    mesh.await_paths("ingress", DEST, &[FIRST, SECOND]);
    mesh.await_peers("exit", 2);
}
