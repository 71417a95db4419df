//! Numbers at their ends, and words from before a restart: what a member signs or hands on of others,
//! with the largest, the least and the oldest that there is.

use serde_json::json;
use warren::identity::AgentId;
use warren::wire::{
    Advertisement, ControlMessage, Envelope, Features, Flood, LinkAdv, LinkFlags, Neighbor,
    RoutePrefix, Stamp,
};

use crate::member::Member;
use crate::support::traffic::{fetch, try_fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";

fn mesh() -> Mesh {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    mesh
}

fn works(mesh: &Mesh) {
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    fetch(mesh.socks("ingress"), Target::start().address());
}

fn seen(mesh: &Mesh, kind: &str, result: &str) -> f64 {
    let labels = format!("{{type=\"{kind}\",result=\"{result}\"}}");
    mesh.metric("transit", &format!("warren_advertisements_total{labels}"))
}

/// The exit's own prefix at the greatest metric, over a link at the greatest cost: a sum that wrapped
/// would be the least of all.
#[test]
fn the_dearest_offer_is_not_the_cheapest() {
    let mesh = mesh();
    let liar = Member::join(&mesh, "transit", None);
    let dear = Neighbor {
        id: mesh.id("transit").parse().expect("an agent id"),
        cost: u32::MAX,
        rtt_class: 30,
        mtu: u16::MAX,
    };
    liar.say([Advertisement::Link(LinkAdv {
        stamp: liar.stamp(),
        flags: LinkFlags::default(),
        neighbors: vec![dear],
        display_name: "liar".to_owned(),
        features: None,
    })]);
    let explained = mesh.explain("ingress", DEST).expect("it answers");
    let prefix = explained["candidates"][0]["prefix"].as_str();
    let prefix = prefix.expect("a prefix").parse().expect("a prefix");
    let offer = RoutePrefix {
        prefix,
        metric: u32::MAX,
    };
    liar.say([liar.route_adv(0, 1, vec![offer])]);
    eventually("the ingress knows both offers", || {
        let explained = mesh.explain("ingress", DEST)?;
        let mut candidates = explained["candidates"].as_array()?.iter();
        let own = liar.id().to_string();
        let of_liar = |hop: &serde_json::Value| hop["exit"] == own.as_str();
        let metric = candidates.find(|candidate| of_liar(candidate))?["metric"].as_u64();
        (metric == Some(u32::MAX.into())).then_some(())
    });
    works(&mesh);
}

#[test]
fn epochs_sequences_and_neighbours_at_their_ends_are_no_news_to_anybody() {
    let mesh = mesh();
    let liar = Member::join(&mesh, "transit", None);
    let transit: AgentId = mesh.id("transit").parse().expect("an agent id");
    let neighbor = |id| Neighbor {
        id,
        cost: 1,
        rtt_class: 1,
        mtu: 1_400,
    };
    let link = |stamp, neighbors| {
        Advertisement::Link(LinkAdv {
            stamp,
            flags: LinkFlags::default(),
            neighbors,
            display_name: "liar".to_owned(),
            features: None,
        })
    };
    let far = 1_u64 << 62;
    for (epoch, sequence) in [(far, 1), (far, far), (liar.stamp().epoch, far)] {
        let stamp = Stamp {
            epoch,
            sequence,
            ..liar.stamp()
        };
        liar.say([link(stamp, vec![neighbor(transit)])]);
    }
    eventually("epochs of the future are refused", || {
        (seen(&mesh, "link", "future_dated") >= 2.0).then_some(())
    });
    // Past the last sequence there is nothing left to say but of a later epoch.
    let crowd = |count: u32| {
        let id = |n: u32| {
            AgentId(
                *((u128::from(n) << 64) + 1)
                    .to_be_bytes()
                    .first_chunk()
                    .expect("16"),
            )
        };
        let mut ids: Vec<AgentId> = (1..=count).map(id).chain([transit]).collect();
        ids.sort();
        ids.into_iter().map(neighbor).collect::<Vec<_>>()
    };
    let epoch = liar.stamp().epoch + 1;
    let stamp = || Stamp {
        epoch,
        ..liar.stamp()
    };
    liar.say([link(stamp(), crowd(1_100))]);
    eventually("too many neighbours are refused", || {
        (seen(&mesh, "link", "neighbor_limit") > 0.0).then_some(())
    });
    (0..200).for_each(|_| liar.say([link(stamp(), crowd(1_000))]));
    works(&mesh);
    assert!(liar.is_linked());
    // Beyond what may be written at all: the message is nobody's, and so is the link.
    let beyond = Stamp {
        epoch: u64::MAX,
        ..liar.stamp()
    };
    liar.say([link(beyond, vec![neighbor(transit)])]);
    works(&mesh);
}

/// Envelopes are not signed: what one claims about its way bounds nothing but its own flood.
#[test]
fn no_envelope_travels_on_for_ever() {
    let mesh = mesh();
    let liar = Member::join(&mesh, "transit", None);
    for (ttl, hops) in [(0, 0), (255, 0), (255, 255), (0, 255), (1, 14)] {
        let adv = liar.sign(liar.link_adv());
        liar.send(&ControlMessage::Flood(Flood {
            certificates: vec![liar.certificate()],
            advertisements: vec![Envelope { adv, ttl, hops }],
        }));
    }
    works(&mesh);
    let before = mesh.metric("exit", "warren_advertisements_total");
    works(&mesh);
    let after = mesh.metric("exit", "warren_advertisements_total");
    assert!(after - before < 20.0, "{before} to {after}");
}

/// The exit, which is back when it serves: until its death is noticed its routes stand.
fn restart(mesh: &mut Mesh) {
    mesh.kill("exit");
    mesh.start("exit");
    let target = Target::start();
    eventually("the exit serves again", || {
        try_fetch(mesh.socks("ingress"), target.address()).then_some(())
    });
    works(mesh);
}

#[test]
fn what_an_agent_said_before_it_restarted_is_not_believed_again() {
    let mut mesh = mesh();
    let liar = Member::join(&mesh, "transit", None);
    let exit: AgentId = mesh.id("exit").parse().expect("an agent id");
    // It hears of the first restart what it repeats after the second.
    restart(&mut mesh);
    let old = eventually("it hears of the exit", || {
        let heard = liar.heard_of(exit);
        (heard.len() >= 2).then_some(heard)
    });
    restart(&mut mesh);
    let before = seen(&mesh, "link", "stale") + seen(&mesh, "route", "stale");
    (0..50).for_each(|_| liar.flood(old.clone()));
    eventually("it is refused", || {
        let stale = seen(&mesh, "link", "stale") + seen(&mesh, "route", "stale");
        (stale > before).then_some(())
    });
    works(&mesh);
}

/// Frames that say they are longer than any, of nothing, and of what nobody knows.
#[test]
fn frames_of_no_sensible_length_end_one_link() {
    let mesh = mesh();
    let text = "0".repeat(300 * 1_024);
    for bytes in [
        u32::MAX.to_be_bytes().to_vec(),
        [&[0x7f, 0xff, 0xff, 0xff][..], &[0; 64 * 1_024]].concat(),
        vec![0; 4_096],
        text.into_bytes(),
    ] {
        let liar = Member::join(&mesh, "transit", None);
        liar.write(bytes);
        eventually("the link ends", || (!liar.is_linked()).then_some(()));
    }
    works(&mesh);
}

/// Every bit, of which none is known: as an agent of a release to come.
#[test]
fn feature_bits_that_nobody_knows_reach_everybody_and_hurt_nobody() {
    let mesh = mesh();
    let stranger = Member::join(&mesh, "transit", None);
    let Advertisement::Link(plain) = stranger.link_adv() else {
        panic!("of links");
    };
    let told = |features| {
        Advertisement::Link(LinkAdv {
            stamp: stranger.stamp(),
            features,
            ..plain.clone()
        })
    };
    for (features, shown) in [
        (
            Some(Features(u64::MAX)),
            json!((0..64).collect::<Vec<u8>>()),
        ),
        (None, json!(null)),
        (Some(Features(0)), json!([])),
    ] {
        stranger.say([told(features)]);
        works(&mesh);
        eventually("the ingress shows them", || {
            let topology = mesh.get("ingress", "/api/topology").json();
            let mut agents = topology["agents"].as_array()?.iter();
            let agent = agents.find(|agent| agent["id"] == stranger.id().to_string().as_str())?;
            (agent["features"] == shown).then_some(())
        });
    }
    assert_eq!(seen(&mesh, "link", "malformed"), 0.0);
    assert!(stranger.is_linked());
}
