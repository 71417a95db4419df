//! Two real agents, one of which brings 100,000 prefixes: how long after their link is up the other
//! one shows them all.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::support::wait::within;
use crate::support::{Mesh, Spec};

const PREFIXES: u32 = 100_000;

/// Each in processes of its own.
const RUNS: usize = 5;

/// Seconds from the link's coming up to the last prefix in `/api/routes`, by run.
pub(crate) fn cold_sync() -> Vec<f64> {
    let seconds: Vec<f64> = (0..RUNS).map(|_| once().as_secs_f64()).collect();
    println!("two real agents, {PREFIXES} prefixes: {seconds:.3?} s from link to routes");
    seconds
}

fn once() -> Duration {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().extra(&exit_section()));
    mesh.add(Spec::new("ingress").peer("exit").socks5());
    mesh.start("exit");
    // Reading its file is not part of it.
    within(Duration::from_secs(60), "the exit is up", || {
        mesh.healthz("exit")
    });
    mesh.start("ingress");
    let linked = asking("the link is up", || {
        (mesh.healthz("ingress")?["peers"].as_u64()? == 1).then(Instant::now)
    });
    // A cheap question until they are there, then the list itself.
    asking("all routes are counted", || {
        let routes = mesh.healthz("ingress")?["routes"].as_u64()?;
        (routes == u64::from(PREFIXES)).then_some(())
    });
    let listed = mesh.get("ingress", "/api/routes").json();
    let took = linked.elapsed();
    assert_eq!(listed.as_array().map(Vec::len), Some(PREFIXES as usize));
    took
}

/// Asks as often as the agent answers.
fn asking<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn exit_section() -> String {
    let mut yaml = "exit:\n  enabled: true\n  routes:\n".to_owned();
    for number in 0..PREFIXES {
        let network = Ipv4Addr::from(0x0a00_0000 + (number << 4));
        let _ = writeln!(yaml, "    - {network}/28");
    }
    yaml
}
