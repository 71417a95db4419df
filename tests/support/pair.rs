//! The smallest mesh: an ingress and the exit beside it.

use super::{LOOPBACK, Mesh, Spec};

/// An exit of loopback.
pub(crate) fn exit() -> Spec {
    Spec::new("exit").listen().exit(LOOPBACK)
}

/// An ingress that dials it.
pub(crate) fn ingress() -> Spec {
    Spec::new("ingress").socks5().peer("exit")
}

/// One that refuses at once what has no route.
pub(crate) fn hasty_ingress() -> Spec {
    Spec::new("ingress")
        .socks5_with("route_wait: 0")
        .peer("exit")
}

/// Both, once the ingress is ready.
pub(crate) fn start() -> Mesh {
    start_as(exit(), ingress())
}

/// The same of agents like these.
pub(crate) fn start_as(exit: Spec, ingress: Spec) -> Mesh {
    let mesh = Mesh::start_all([exit, ingress]);
    mesh.await_ready("ingress");
    mesh
}
