//! A member that writes headers as it likes: packets go nowhere but where its own may, and nobody is
//! taken for somebody else.

use warren::identity::AgentId;

use crate::member::{Header, Member};
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{Mesh, Target, line};

/// Packet types of docs/wire-format.md.
const TO_EXIT: u8 = 0x01;
const PROBE: u8 = 0x03;

fn dropped(mesh: &Mesh, agent: &str, reason: &str) -> f64 {
    let labels = format!("{{reason=\"{reason}\"}}");
    mesh.metric(agent, &format!("warren_dropped_packets_total{labels}"))
}

/// `sent` is dropped by the transit, for `reason`.
fn await_dropped(mesh: &Mesh, liar: &Member, (what, reason): (&str, &str), sent: &Header<'_>) {
    let before = dropped(mesh, "transit", reason);
    eventually(&format!("{what} is dropped"), || {
        liar.packet(sent, &[0; 64]);
        (dropped(mesh, "transit", reason) > before).then_some(())
    });
}

/// What may pass is nothing to who gets it: no session, no key.
fn send_nonsense(mesh: &Mesh, liar: &Member, way: &[AgentId]) {
    let unknown = |kind| Header {
        kind,
        index: 0,
        token: liar.token(),
        source: liar.id(),
        hops: way,
    };
    for number in 0..2_000_u16 {
        let payload = number.to_be_bytes().repeat(300);
        liar.packet(&unknown(TO_EXIT), &payload);
        liar.packet(&unknown(PROBE), &payload);
    }
    eventually("the exit drops probes", || {
        (dropped(mesh, "exit", "probe") > 0.0).then_some(())
    });
}

#[test]
fn a_member_is_nobody_but_itself_and_its_packets_go_where_links_lead() {
    let mesh = line::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    let liar = Member::join(&mesh, "transit", None);
    let [exit, transit, ingress] = ["exit", "transit", "ingress"]
        .map(|name| mesh.id(name).parse::<AgentId>().expect("an agent id"));
    let (own, nobody) = (liar.id(), AgentId([7; 16]));
    let token = liar.token();
    let header = |index, token, source, hops| Header {
        kind: TO_EXIT,
        index,
        token,
        source,
        hops,
    };
    for (what, reason, sent) in [
        (
            "a guessed token",
            "token",
            header(0, token ^ 1, own, &[transit, exit][..]),
        ),
        (
            "another's name",
            "index",
            header(0, token, ingress, &[transit, exit]),
        ),
        (
            "another's hop",
            "index",
            header(1, token, own, &[ingress, transit, exit]),
        ),
        (
            "not for it",
            "index",
            header(0, token, own, &[exit, transit]),
        ),
        (
            "a hop that is none",
            "next_hop",
            header(0, token, own, &[transit, nobody]),
        ),
        (
            "a circle",
            "malformed",
            header(0, token, own, &[transit, exit, transit]),
        ),
        (
            "its own circle",
            "malformed",
            header(0, token, own, &[transit, own]),
        ),
        ("no hop", "malformed", header(0, token, own, &[])),
        (
            "past the last hop",
            "malformed",
            header(2, token, own, &[transit, exit]),
        ),
    ] {
        await_dropped(&mesh, &liar, (what, reason), &sent);
    }
    send_nonsense(&mesh, &liar, &[transit, exit]);
    echo.round(100_000);
    fetch(mesh.socks("ingress"), target.address());
    echo.finish();
    eventually("nothing is left of it", || {
        let streams = mesh.get("exit", "/api/streams").json();
        (streams.as_array()?.is_empty()).then_some(())
    });
}
