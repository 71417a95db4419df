//! Certificates that are renewed while their agents run.

use std::fs;

use warren::identity::read_certificate;

use crate::reload::{changes, downs, edit, file, reload};
use crate::support::command::warren;
use crate::support::mesh::path_text;
use crate::support::traffic::{Echo, fetch, try_fetch};
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target, pair};

/// A certificate of an agent that was added to a mesh, from the CA in `ca`, for the key that it has.
fn renew(mesh: &Mesh, name: &str, ca: &str) {
    let (dir, days) = (path_text(mesh.dir()), "700");
    let agent = ["cert", "agent", "--renew", "--days", days];
    let rest = ["-n", name, "--ca", ca, "-o", &dir];
    warren(&[&agent[..], &rest].concat()).success();
}

fn serial(mesh: &Mesh, name: &str) -> String {
    let path = mesh.dir().join(format!("{name}.crt"));
    let certificate = read_certificate(&path).expect("the agent's certificate");
    certificate.serial.to_string()
}

fn seconds_left(mesh: &Mesh, name: &str) -> f64 {
    mesh.metric(name, "warren_certificate_expiry_seconds")
}

#[test]
fn a_renewed_certificate_counts_without_a_restart() {
    let mut mesh = pair::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    edit(&mesh, "ingress", "  id: auto", "  watch: true\n  id: auto");
    assert_eq!(changes(&mesh, "ingress"), ["agent.watch"]);
    let (old, left) = (serial(&mesh, "ingress"), seconds_left(&mesh, "ingress"));
    let dir = path_text(mesh.dir());
    renew(&mesh, "ingress", &dir);
    mesh.await_log("ingress", &["certificate renewed"]);
    mesh.await_log("ingress", &["reloaded", "tls.cert"]);
    assert!(seconds_left(&mesh, "ingress") > left + 300.0 * 86_400.0);
    // The exit sees it, because the ingress dials it again.
    eventually("another link has taken the place of the first", || {
        let log = mesh.process("exit").log();
        let ups = log.lines().filter(|line| line.contains("link up"));
        (ups.count() >= 2).then_some(())
    });
    echo.round(1_000);

    // What the old one proves counts no more: the link, the advertisements and new sessions have the new.
    let text = fs::read_to_string(file(&mesh, "exit")).expect("the agent's file");
    let revoked = format!("{text}\ntrust: {{ revoke: ['serial:{old}'] }}\n");
    fs::write(file(&mesh, "exit"), revoked).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "exit"), ["trust.revoke"]);
    eventually("a new session is there", || {
        try_fetch(mesh.socks("ingress"), target.address()).then_some(())
    });
    mesh.await_ready("ingress");
    assert_eq!(downs(&mesh, "ingress") + downs(&mesh, "exit"), 0);
}

#[test]
fn a_pair_that_does_not_fit_changes_nothing() {
    let mut mesh = pair::start();
    mesh.add(Spec::new("other").listen());
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(1_000);
    let path = |name: &str| mesh.dir().join(name);
    let read = |name: &str| fs::read(path(name)).expect("a file of the test's folder");
    let good = [read("exit.crt"), read("exit.key")];
    let other = [read("other.crt"), read("other.key")];
    let foreign = path_text(&path("foreign"));
    warren(&["cert", "ca", "-n", "test mesh", "-o", &foreign]).success();
    renew(&mesh, "exit", &foreign);
    let strange = read("exit.crt");
    let half = good[0][..good[0].len() / 2].to_vec();
    let left = seconds_left(&mesh, "exit");
    for ([certificate, key], told) in [
        ([&half, &good[1]], "exit.crt"),
        ([&Vec::new(), &good[1]], "exit.crt"),
        ([&other[0], &good[1]], "does not belong to certificate"),
        ([&good[0], &other[1]], "does not belong to certificate"),
        ([&other[0], &other[1]], "tls.key is agent"),
        ([&strange, &good[1]], "tls.cert is from no CA"),
    ] {
        fs::write(path("exit.crt"), certificate).expect("the test's folder is writable");
        fs::write(path("exit.key"), key).expect("the test's folder is writable");
        let failed = reload(&mesh, "exit");
        assert_eq!(failed.code, Some(1), "{failed:#?}");
        assert!(failed.stderr.contains(told), "{told}: {failed:#?}");
        fetch(mesh.socks("ingress"), target.address());
    }
    assert!((left - seconds_left(&mesh, "exit")).abs() < 600.0);
    fs::write(path("exit.crt"), &good[0]).expect("the test's folder is writable");
    fs::write(path("exit.key"), &good[1]).expect("the test's folder is writable");
    assert_eq!(changes(&mesh, "exit"), ["nothing has changed"]);
    renew(&mesh, "exit", &path_text(mesh.dir()));
    assert_eq!(changes(&mesh, "exit"), ["tls.cert"]);
    echo.round(1_000);
    echo.finish();
}
