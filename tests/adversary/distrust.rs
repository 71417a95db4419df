//! Who is taken out of the mesh while it comes in.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use warren::clock::unix_ms;

use crate::churn::Stop;
use crate::member::{Door, Member, identity};
use crate::scene::Scene;
use crate::support::wait::within;
use crate::support::{LOOPBACK, Mesh, Spec};

/// Within so long a revocation counts (docs/security.md), and a machine that does other work.
const SOON: Duration = Duration::from_secs(5);

fn mesh() -> Mesh {
    let mut mesh = Mesh::new();
    for name in ["exit", "transit"] {
        fs::write(mesh.dir().join(format!("{name}.revoked")), "").expect("a writable folder");
    }
    let spec = |name: &str| {
        let file = format!("trust: {{ revoke_file: './{name}.revoked' }}");
        Spec::new(name).listen().extra(&file)
    };
    mesh.add(spec("exit").exit(LOOPBACK));
    mesh.add(spec("transit").peer("exit"));
    mesh.start("exit");
    mesh.start("transit");
    mesh.await_peers("transit", 1);
    mesh
}

fn revoke(mesh: &Mesh, at: &str, id: &str) {
    let list = mesh.dir().join(format!("{at}.revoked"));
    fs::write(list, format!("{id}\n")).expect("a writable folder");
}

/// Between the handshake, which proves who it is, and the hello, which makes the link.
#[test]
fn a_neighbour_revoked_before_its_hello_has_no_link() {
    let mesh = mesh();
    for wait in [Duration::ZERO, Duration::from_millis(700)] {
        let identity = identity(mesh.dir(), None);
        let id = identity.id().to_string();
        let closed = Member::knock_late(&mesh, "transit", &identity, || {
            revoke(&mesh, "transit", &id);
            thread::sleep(wait);
        });
        let (why, took) = closed;
        assert!(why.contains("revoked"), "{why}");
        assert!(took < SOON, "{took:?}");
    }
    within(SOON, "no link is left", || {
        (mesh.healthz("transit")?["peers"] == 1).then_some(())
    });
}

/// Sessions begin all the time while their ingress is revoked at the exit: none of them stays.
#[test]
fn an_ingress_revoked_while_it_opens_sessions_has_none() {
    let mesh = mesh();
    let member = Member::join(&mesh, "transit", None);
    let exit = mesh.id("exit").parse().expect("an agent id");
    crate::support::wait::eventually("the way to the exit is open", || member.session(exit).ok());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = Stop(&stop);
        let opening = scope.spawn(|| {
            let (mut last, mut kept) = (None, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                if let Ok(session) = member.session(exit) {
                    last = Some(Instant::now());
                    // They stay open as far as they themselves can see.
                    kept.push(session);
                }
            }
            last
        });
        thread::sleep(Duration::from_millis(100));
        let revoked = Instant::now();
        revoke(&mesh, "exit", &member.id().to_string());
        within(SOON, "the exit has no session", || {
            let sessions = mesh.get("exit", "/api/sessions").json();
            sessions.as_array()?.is_empty().then_some(())
        });
        thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        let last = opening.join().expect("it only opens sessions");
        let last = last.expect("some were opened before");
        assert!(last < revoked + SOON, "{:?}", last - revoked);
    });
}

/// Knocks at a time.
const AT_ONCE: usize = 8;

/// Who is out knocks again and again, with a good certificate and an id that is on the list.
#[test]
fn who_is_revoked_and_knocks_without_end_costs_nobody_anything() {
    let folder = tempfile::tempdir().expect("a writable folder");
    let list = folder.path().join("revoked");
    fs::write(&list, "").expect("a writable folder");
    let trust = format!("trust: {{ revoke_file: '{}' }}", list.display());
    let mut scene = Scene::with(Spec::new("exit").extra(&trust));
    let identity = identity(scene.mesh.dir(), None);
    let door = Door::of(&scene.mesh, "exit");
    let knock = || Member::knock_at(&door, &identity, unix_ms(), None);
    assert_eq!(knock(), None, "it is let in");
    fs::write(&list, format!("{}\n", identity.id())).expect("a writable folder");
    within(SOON, "it is refused", knock);
    scene.under("exit", "knocks of who is revoked", || {
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(knock);
            }
        });
        AT_ONCE as u64
    });
    let log = scene.mesh.process("exit").log();
    let lines = log.lines().filter(|line| line.contains("revoked")).count();
    assert!((1..=20).contains(&lines), "{lines} lines");
}
