//! What a member says that is not its own to say: in another's name, with a wrong signature, of links
//! that nobody confirms, from the past and from the future. Nobody believes it, and nothing that lives
//! is disturbed.

use warren::identity::AgentId;
use warren::wire::{Advertisement, LinkAdv, LinkFlags, Neighbor, RoutePrefix, SignedAdv, Stamp};

use crate::member::Member;
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";

/// An exit behind a transit, which an unrestricted liar joins.
struct Scene {
    mesh: Mesh,
    liar: Member,
    target: Target,
    echo: Echo,
}

fn scene() -> Scene {
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("transit").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    let target = Target::start();
    let echo = Echo::open(mesh.socks("ingress"), target.address());
    let liar = Member::join(&mesh, "transit", None);
    Scene {
        mesh,
        liar,
        target,
        echo,
    }
}

impl Scene {
    fn id(&self, name: &str) -> AgentId {
        self.mesh.id(name).parse().expect("an agent id")
    }

    /// A link of `of` with each of these, at the least cost.
    fn links(&self, stamp: Stamp, of: &[AgentId]) -> Advertisement {
        let mut of = of.to_vec();
        of.sort();
        let neighbor = |id| Neighbor {
            id,
            cost: 1,
            rtt_class: 1,
            mtu: 1_400,
        };
        Advertisement::Link(LinkAdv {
            stamp,
            flags: LinkFlags::default(),
            neighbors: of.into_iter().map(neighbor).collect(),
            display_name: "liar".to_owned(),
            features: None,
        })
    }

    fn await_refused(&self, result: &str) {
        self.await_result("link", result);
    }

    fn await_result(&self, kind: &str, result: &str) {
        let labels = format!("{{type=\"{kind}\",result=\"{result}\"}}");
        let metric = format!("warren_advertisements_total{labels}");
        eventually(&format!("it is {result}"), || {
            (self.mesh.metric("transit", &metric) > 0.0).then_some(())
        });
    }

    /// Everything is as it was.
    fn end(mut self) {
        let path = self.mesh.chosen("ingress", DEST);
        let expected = ["transit", "exit"].map(str::to_owned);
        assert_eq!(path.as_deref(), Some(&expected[..]));
        self.echo.round(1_000);
        fetch(self.mesh.socks("ingress"), self.target.address());
        self.echo.finish();
    }
}

#[test]
fn nobody_speaks_in_anothers_name() {
    let scene = scene();
    // The exit without links: whoever believed it would lose the way.
    let stamp = Stamp {
        origin: scene.id("exit"),
        ..scene.liar.stamp()
    };
    scene.liar.say([scene.links(stamp, &[])]);
    scene.await_refused("foreign_certificate");
    assert!(scene.liar.is_linked(), "it may have been handed on to it");
    scene.end();
}

#[test]
fn a_wrong_signature_costs_the_link() {
    let scene = scene();
    let adv = scene.links(scene.liar.stamp(), &[]);
    let forged = SignedAdv::sign(adv, |_| [7; 64]);
    scene.liar.flood(vec![forged]);
    scene.await_refused("bad_signature");
    eventually("the link ends", || (!scene.liar.is_linked()).then_some(()));
    scene.end();
}

#[test]
fn a_link_that_one_end_claims_is_no_way() {
    let scene = scene();
    let of = ["exit", "transit", "ingress"].map(|name| scene.id(name));
    scene.liar.say([scene.links(scene.liar.stamp(), &of)]);
    let prefix = "127.0.0.1/32".parse().expect("a prefix");
    // It offers the destination, too, dearer than the exit by no more than its distance.
    let route = RoutePrefix { prefix, metric: 0 };
    scene.liar.say([scene.liar.route_adv(0, 1, vec![route])]);
    scene.await_result("route", "accepted");
    let mesh = &scene.mesh;
    eventually("the ingress knows both offers", || {
        let explained = mesh.explain("ingress", DEST)?;
        (explained["candidates"].as_array()?.len() >= 2).then_some(())
    });
    // By the link with the transit that both ends claim, and by no other.
    let liar = scene.liar.id().to_string();
    let explained = mesh.explain("ingress", DEST).expect("it answers");
    for candidate in explained["candidates"].as_array().expect("a list") {
        let path = candidate["path"].as_array().expect("a list");
        if path.last().and_then(|last| last.as_str()) == Some(&liar) {
            assert_eq!(path.len(), 2, "{candidate}");
        } else {
            assert!(!path.iter().any(|hop| hop == liar.as_str()), "{candidate}");
        }
    }
}

#[test]
fn what_is_old_or_of_the_future_counts_for_nothing() {
    let scene = scene();
    let past = scene.links(scene.liar.stamp(), &[]);
    let newer = scene.liar.link_adv();
    let past = scene.liar.sign(past);
    scene.liar.say([newer]);
    scene.liar.flood(vec![past]);
    scene.await_refused("stale");
    let mut future = scene.liar.stamp();
    future.issued_at_ms += 3_600_000;
    scene.liar.say([scene.links(future, &[])]);
    scene.await_refused("future_dated");
    let mut expired = scene.liar.stamp();
    expired.issued_at_ms -= 3_600_000;
    scene.liar.say([scene.links(expired, &[])]);
    scene.await_refused("expired");
    scene.end();
}

#[test]
fn bytes_that_are_no_message_end_one_link_and_no_agent() {
    let mut scene = scene();
    scene.liar.write(vec![0xff; 64 * 1024]);
    eventually("the link ends", || (!scene.liar.is_linked()).then_some(()));
    for name in ["exit", "transit", "ingress"] {
        assert!(scene.mesh.process(name).is_running());
    }
    scene.end();
}
