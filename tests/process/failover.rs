//! The transit in use dies or freezes under load: nothing is lost, and traffic comes back.

use crate::support::diamond::{self, DEST, FIRST, SECOND};
use crate::support::traffic::{Download, Echo, MIB, fetch};
use crate::support::wait::eventually;
use crate::support::{Mesh, Target};

/// Far more than all buffers between the target and a reader that pauses, so that most of it
/// crosses the mesh after the fault.
const TOTAL: u64 = 48 * MIB;

/// Where the fault happens.
const FAULT_AT: u64 = 8 * MIB;

#[derive(Clone, Copy)]
enum Fault {
    Kill,
    Freeze,
}

impl Fault {
    fn strike(self, mesh: &mut Mesh) {
        match self {
            Self::Kill => mesh.kill("first"),
            Self::Freeze => mesh.process("first").signal("STOP"),
        }
    }

    fn mend(self, mesh: &mut Mesh) {
        match self {
            Self::Kill => mesh.start("first"),
            Self::Freeze => mesh.process("first").signal("CONT"),
        }
    }
}

fn survives(fault: Fault) {
    let mut mesh = diamond::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    echo.round(1000);
    let mut download = Download::start(socks, target.address(), TOTAL);
    download.read_to(FAULT_AT);
    let carried = mesh.metric("first", "warren_forwarded_packets_total");
    assert!(carried > 0.0, "the first transit carries the download");

    fault.strike(&mut mesh);
    // A new connection right after the fault, while the old ones are still finding their way.
    fetch(socks, target.address());
    echo.round(1000);
    download.finish();
    mesh.await_chosen("ingress", DEST, SECOND);
    assert!(mesh.metric("second", "warren_forwarded_packets_total") > 0.0);
    // Mirroring bridges the time until the path is left.
    eventually("the session moved", || {
        (mesh.metric("ingress", "warren_failovers_total") >= 1.0).then_some(())
    });

    fault.mend(&mut mesh);
    mesh.await_chosen("ingress", DEST, FIRST);
    mesh.await_peers("ingress", 2);
    let before = mesh.metric("first", "warren_forwarded_packets_total");
    eventually("traffic returned to the first transit", || {
        Download::start(socks, target.address(), MIB).finish();
        let now = mesh.metric("first", "warren_forwarded_packets_total");
        (now > before + 500.0).then_some(())
    });

    // The connection from before the fault lives on, and so does the redundancy.
    echo.round(1000);
    mesh.await_paths("ingress", DEST, &[FIRST, SECOND]);
    mesh.kill("second");
    echo.round(1000);
    mesh.kill("first");
    mesh.start("second");
    mesh.await_chosen("ingress", DEST, SECOND);
    echo.round(1000);
    echo.finish();
}

#[test]
fn a_killed_transit_costs_no_byte_and_gets_its_traffic_back() {
    survives(Fault::Kill);
}

#[test]
fn a_frozen_transit_costs_no_byte_and_gets_its_traffic_back() {
    survives(Fault::Freeze);
}

#[test]
fn an_upload_and_many_idle_connections_survive_a_killed_transit() {
    let mut mesh = diamond::start();
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echoes: Vec<Echo> = (0..40)
        .map(|_| Echo::open(socks, target.address()))
        .collect();
    echoes.iter_mut().for_each(|echo| echo.round(100));

    mesh.kill("first");
    echoes.iter_mut().for_each(|echo| echo.round(20_000));
    crate::support::traffic::upload(socks, target.address(), 8 * MIB);
    for echo in echoes {
        echo.finish();
    }
}
