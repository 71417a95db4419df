//! The smallest mesh with a transit: an ingress, which reaches the exit through it.

use super::diamond::DEST;
use super::{LOOPBACK, Mesh, Spec};

/// The only way.
pub(crate) const WAY: &[&str] = &["transit", "exit"];

/// Exit, transit, ingress, in an order in which they can start.
pub(crate) fn agents() -> [Spec; 3] {
    [
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]
}

/// The mesh of these [`agents`], once the ingress knows the way.
pub(crate) fn start() -> Mesh {
    let mesh = Mesh::start_all(agents());
    mesh.await_chosen("ingress", DEST, WAY);
    mesh
}
