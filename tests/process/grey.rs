//! Paths that fail without a link going down, or in one direction only: data is dropped behind
//! heartbeats that pass.

use crate::support::traffic::{Download, Echo, MIB, fetch, upload};
use crate::support::udp_relay::{Conditions, Fault, UdpRelay};
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";

/// Far more than all buffers on the way.
const TOTAL: u64 = 48 * MIB;

/// Where the fault happens.
const FAULT_AT: u64 = 8 * MIB;

const FIRST: &[&str] = &["first", "exit"];
const SECOND: &[&str] = &["second", "exit"];

/// Which link of the first transit the relay is in.
#[derive(Clone, Copy)]
enum Place {
    Ingress,
    Exit,
}

/// Ingress, two transits of which the first is cheaper, exit; a relay in one of the first's links.
fn diamond(place: Place) -> (Mesh, UdpRelay) {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("first").listen().peer("exit"));
    mesh.add(Spec::new("second").listen().peer("exit"));
    mesh.add(
        Spec::new("ingress")
            .socks5()
            .peer_at("first", 1)
            .peer_at("second", 2),
    );
    let (client, server) = match place {
        Place::Ingress => ("ingress", "first"),
        Place::Exit => ("first", "exit"),
    };
    let relay = UdpRelay::start(mesh.link(server), Conditions::default());
    mesh.detour(client, server, relay.address());
    ["exit", "first", "second", "ingress"]
        .iter()
        .for_each(|name| mesh.start(name));
    mesh.await_chosen("ingress", DEST, FIRST);
    mesh.await_paths("ingress", DEST, &[FIRST, SECOND]);
    mesh.await_peers("exit", 2);
    (mesh, relay)
}

/// A download and an upload cross the fault without losing a byte; returns the mesh after it.
fn survives(place: Place, fault: Fault) -> (Mesh, UdpRelay) {
    let (mesh, relay) = diamond(place);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    echo.round(1000);
    let mut download = Download::start(socks, target.address(), TOTAL);
    download.read_to(FAULT_AT);
    let before = relay.carried();
    assert!(before > FAULT_AT / 1_472, "the download takes the relay");

    relay.fault(fault);
    fetch(socks, target.address());
    echo.round(1000);
    upload(socks, target.address(), 4 * MIB);
    download.finish();
    echo.finish();
    assert!(mesh.metric("second", "warren_forwarded_packets_total") > 0.0);
    (mesh, relay)
}

#[test]
fn a_transit_that_drops_data_behind_live_links_is_left() {
    for place in [Place::Ingress, Place::Exit] {
        let (mut mesh, _relay) = survives(place, Fault::Grey);
        mesh.await_log("ingress", &["session moved", "unanswered"]);
        // No link went down: nobody but the sessions could tell.
        for name in ["ingress", "first", "exit"] {
            assert!(!mesh.process(name).log().contains("link down"), "{name}");
        }
        // New sessions keep away from it, too.
        mesh.await_chosen("ingress", DEST, SECOND);
    }
}

#[test]
fn a_link_that_is_deaf_in_one_direction_is_left() {
    for (place, fault) in [
        (Place::Ingress, Fault::DeafServer),
        (Place::Ingress, Fault::DeafClient),
        (Place::Exit, Fault::DeafServer),
        (Place::Exit, Fault::DeafClient),
    ] {
        let (mesh, _relay) = survives(place, fault);
        mesh.await_chosen("ingress", DEST, SECOND);
    }
}
