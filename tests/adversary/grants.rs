//! A member that claims more than its certificate grants, or shows another certificate than the CA's.

use warren::identity::{Grants, Identity};
use warren::wire::RoutePrefix;

use crate::member::Member;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec};

/// A chain whose transit names `peer` among its peers, where nobody answers.
fn mesh(peer: Option<&Identity>) -> Mesh {
    let mut transit = Spec::new("transit").listen();
    if let Some(peer) = peer {
        let id = peer.id();
        transit = transit.extra(&format!(
            "peers: [{{ id: '{id}', address: '127.0.0.1:1' }}]"
        ));
    }
    let mesh = Mesh::start_all([
        transit,
        Spec::new("exit").exit(LOOPBACK).peer("transit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", "127.0.0.1", &["transit", "exit"]);
    mesh
}

fn granted(uris: &[&str]) -> Grants {
    let grants = Grants::from_uris(uris.iter().copied());
    grants.expect("sound grants").expect("some grants")
}

fn await_refused(mesh: &Mesh, kind: &str) {
    let refused = format!("warren_advertisements_total{{type=\"{kind}\",result=\"not_granted\"}}");
    eventually("the advertisement is refused", || {
        (mesh.metric("transit", &refused) > 0.0).then_some(())
    });
}

#[test]
fn a_member_originates_nothing_that_is_not_granted() {
    let mesh = mesh(None);
    let member = Member::join(&mesh, "transit", Some(&granted(&["warren:role:transit"])));
    let prefix = "127.0.0.0/24".parse().expect("a prefix");
    let route = RoutePrefix { prefix, metric: 0 };
    member.say([member.route_adv(0, 1, vec![route])]);
    await_refused(&mesh, "route");
    assert_eq!(
        mesh.chosen("ingress", "127.0.0.1").as_deref(),
        Some(&["transit".to_owned(), "exit".to_owned()][..])
    );
}

#[test]
fn a_member_that_may_not_relay_is_on_nobodys_way() {
    let mesh = mesh(None);
    let grants = granted(&["warren:role:ingress"]);
    let _member = Member::join(&mesh, "transit", Some(&grants));
    // Its links say that it relays.
    await_refused(&mesh, "link");
}

#[test]
fn a_neighbour_that_the_file_names_needs_a_certificate_of_the_ca() {
    let liar = Identity::ephemeral().expect("the host makes keys");
    let mesh = mesh(Some(&liar));
    let refused = Member::knock(&mesh, "transit", &liar);
    let refused = refused.expect("whoever it is, it has no grants of the CA");
    assert!(refused.contains("stranger"), "{refused}");
}
