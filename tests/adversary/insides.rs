//! A member asks an exit for what is the exit's own, in every form that an address has.

use std::net::SocketAddr;

use warren::wire::{ConnectReply, ConnectRequest, ConnectStatus, StreamRequest, Target as Asked};

use crate::member::Member;
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target};

/// Its routes mean loopback, and whatever is not its own there.
const OPEN: &str =
    "routes: ['127.0.0.0/8', '::1/128', '0.0.0.0/0', '::/0'], allow_special: ['::/0']";

#[test]
fn no_form_of_an_address_leads_to_an_exits_own_listeners() {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().socks5().exit(OPEN),
        Spec::new("transit").listen().peer("exit"),
    ]);
    mesh.await_peers("exit", 1);
    let member = Member::join(&mesh, "transit", None);
    let exit = mesh.id("exit").parse().expect("an agent id");
    let session = eventually("the way to the exit is open", || member.session(exit).ok());
    let ask = |target: Asked| {
        let request = StreamRequest::Connect(ConnectRequest { target });
        let (_send, mut recv) = session.say(&request).ok()?;
        session.hear::<ConnectReply>(&mut recv)
    };
    let target = Target::start();
    let reply = ask(Asked::Address(target.address())).expect("an answer");
    assert_eq!(
        reply.status,
        ConnectStatus::Connected,
        "what is not its own"
    );
    let own = [mesh.http("exit"), mesh.link("exit"), mesh.socks("exit")];
    for port in own.map(|own| own.port()) {
        for host in [
            "127.0.0.1",
            "0.0.0.0",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::1]",
            "[::ffff:0:127.0.0.1]",
            "[2001:db8::5efe:127.0.0.1]",
        ] {
            let address: SocketAddr = format!("{host}:{port}").parse().expect("an address");
            // Nobody is there, or nobody may go there; what cannot be is not even answered.
            let reply = ask(Asked::Address(address));
            let is_refused = reply.is_none_or(|reply| reply.status != ConnectStatus::Connected);
            assert!(is_refused, "{address}");
        }
        for name in [
            "localhost",
            "127.0.0.1",
            "::1",
            "0x7f000001",
            "2130706433",
            "127.1",
        ] {
            let reply = ask(Asked::Domain(name.to_owned(), port));
            let is_refused = reply.is_none_or(|reply| reply.status != ConnectStatus::Connected);
            assert!(is_refused, "{name}:{port}");
        }
    }
    let drained = mesh.healthz("exit").expect("the exit answers");
    assert_ne!(drained["status"], "draining");
}
