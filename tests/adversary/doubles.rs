//! One certificate at two places at once: a member that is two.

use std::thread;
use std::time::Duration;

use warren::identity::{AgentId, Identity};

use crate::member::Member;
use crate::scene::Scene;
use crate::support::{Mesh, Spec};

/// What an agent of the mesh shows and signs with.
fn of_agent(mesh: &Mesh, name: &str) -> Identity {
    let file = |end: &str| mesh.dir().join(format!("{name}.{end}"));
    let read = Identity::from_pem(file("crt"), file("key"));
    read.expect("the agent's own files").value
}

/// One more agent to be linked with.
fn elsewhere(scene: &mut Scene) {
    scene
        .mesh
        .add(Spec::new("elsewhere").listen().peer("transit"));
    scene.mesh.start("elsewhere");
    scene.mesh.await_peers("elsewhere", 1);
}

/// Each says where it is, again and again, and each is newer than the other.
#[test]
fn a_member_at_two_places_confuses_nobody_else() {
    let mut scene = Scene::new();
    let exit = scene.id("exit");
    elsewhere(&mut scene);
    // It gets a certificate, and is never started.
    scene.mesh.add(Spec::new("twin"));
    let twin = |at: &str| Member::join_as(&scene.mesh, at, of_agent(&scene.mesh, "twin"));
    let (first, second) = (twin("transit"), twin("elsewhere"));
    assert_eq!(first.id(), second.id());
    let seen = scene.under("exit", "a member at two places", || {
        for member in [&first, &second] {
            member.say([member.link_adv()]);
        }
        thread::sleep(Duration::from_millis(2));
        2
    });
    assert!(seen.sent > 100, "{}", seen.sent);
    // Sessions from both places at the same time, too.
    let open = |member: &Member, exit: AgentId| u64::from(member.session(exit).is_ok());
    scene.under("exit", "its sessions from both places", || {
        open(&first, exit) + open(&second, exit) + 1
    });
    let log = scene.mesh.process("exit").log();
    assert!(log.lines().count() < 2_000, "{} lines", log.lines().count());
}

/// Somebody has another ingress' key, and comes with it from elsewhere. That is all trust in that agent
/// lost, and in nobody else.
#[test]
fn who_has_an_agents_key_disturbs_that_agent_alone() {
    let mut scene = Scene::new();
    elsewhere(&mut scene);
    scene.mesh.add(Spec::new("victim").socks5().peer("transit"));
    scene.mesh.start("victim");
    scene.mesh.await_ready("victim");
    let stolen = of_agent(&scene.mesh, "victim");
    let thief = Member::join_as(&scene.mesh, "elsewhere", stolen);
    scene.under("exit", "an agent's key in two hands", || {
        thief.say([thief.link_adv()]);
        thread::sleep(Duration::from_millis(2));
        1
    });
}
