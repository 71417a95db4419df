//! A transit that keeps its links and loses all data.

use internal_chaos::drill::fault::Fault;

use crate::support::{connections_live_on, drill};

#[test]
fn a_grey_transit() {
    drill(Fault::GreyTransit, connections_live_on);
}
