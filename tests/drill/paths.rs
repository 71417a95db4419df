//! Faults of a path or transit: no connection breaks, no byte is lost, nothing leaves the mesh.

use internal_chaos::drill::fault::Fault;

use crate::support::{connections_live_on, drill};

#[test]
fn a_killed_transit() {
    drill(Fault::TransitKill, connections_live_on);
}

#[test]
fn a_frozen_transit() {
    drill(Fault::TransitFreeze, connections_live_on);
}

#[test]
fn a_stopped_transit() {
    drill(Fault::TransitTerm, connections_live_on);
}

#[test]
fn a_link_that_loses_everything() {
    drill(Fault::LinkCut, connections_live_on);
}

#[test]
fn a_link_that_loses_what_comes_to_the_ingress() {
    drill(Fault::CutToIngress, connections_live_on);
}

#[test]
fn a_link_that_loses_what_the_ingress_sends() {
    drill(Fault::CutToTransit, connections_live_on);
}
