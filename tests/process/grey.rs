//! Paths that fail without a link going down, or in one direction only: data is dropped behind
//! heartbeats that pass.

use internal_chaos::impairment::Impairment;
use internal_chaos::packet::{Plane, Ways};
use internal_chaos::relay::{Options, Relay};
use internal_chaos::rules::{Matcher, Rule, Verdict};

use crate::support::diamond::{self, DEST, SECOND};
use crate::support::traffic::{Download, Echo, MIB, fetch, upload};
use crate::support::{Mesh, Target};

/// Far more than all buffers on the way.
const TOTAL: u64 = 48 * MIB;

/// Where the fault happens.
const FAULT_AT: u64 = 8 * MIB;

/// Which link of the first transit the relay is in.
#[derive(Clone, Copy)]
enum Place {
    Ingress,
    Exit,
}

/// What is wrong with that link.
#[derive(Clone, Copy)]
enum Fault {
    /// The data plane is dropped. Links look alive.
    Grey,
    /// Nothing reaches this end any more.
    Deaf(Ways),
}

impl Fault {
    fn strike(self, relay: &Relay) {
        match self {
            Self::Grey => {
                let rule = Rule::new(Matcher::plane(Plane::Data), Verdict::Drop);
                relay.rule(rule).keep();
            }
            Self::Deaf(ways) => relay.set(ways, Impairment::CUT),
        }
    }
}

/// The diamond with a relay in one of the first transit's links.
fn diamond_with_relay(place: Place) -> (Mesh, Relay) {
    let mut mesh = Mesh::new();
    diamond::agents()
        .into_iter()
        .for_each(|spec| mesh.add(spec));
    let (client, server) = match place {
        Place::Ingress => ("ingress", "first"),
        Place::Exit => ("first", "exit"),
    };
    let relay = Relay::start(&Options::to(mesh.link(server))).expect("a relay starts on loopback");
    mesh.detour(client, server, relay.address());
    ["exit", "first", "second", "ingress"]
        .iter()
        .for_each(|name| mesh.start(name));
    diamond::await_both_ways(&mesh);
    (mesh, relay)
}

/// A download and an upload cross the fault without losing a byte; returns the mesh after it.
fn survives(place: Place, fault: Fault) -> (Mesh, Relay) {
    let (mesh, relay) = diamond_with_relay(place);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    echo.round(1000);
    let mut download = Download::start(socks, target.address(), TOTAL);
    download.read_to(FAULT_AT);
    let before = relay.counters().carried();
    assert!(before > FAULT_AT / 1_472, "the download takes the relay");

    fault.strike(&relay);
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
        (Place::Ingress, Fault::Deaf(Ways::ToServer)),
        (Place::Ingress, Fault::Deaf(Ways::ToClient)),
        (Place::Exit, Fault::Deaf(Ways::ToServer)),
        (Place::Exit, Fault::Deaf(Ways::ToClient)),
    ] {
        let (mesh, _relay) = survives(place, fault);
        mesh.await_chosen("ingress", DEST, SECOND);
    }
}
