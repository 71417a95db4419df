//! Wall clocks that are wrong, and that are set while everything runs.

use std::time::Duration;

use crate::support::diamond::{self, DEST, FIRST, SECOND};
use crate::support::traffic::{Download, Echo, MIB, fetch};
use crate::support::wait::{eventually, within};
use crate::support::{Mesh, Spec, Target};

const HOUR: i64 = 3_600;

/// Far above what it takes, and well before neighbours compare what they know, every 30 s.
const PROMPTLY: Duration = Duration::from_secs(15);

/// Link advertisements that met with this at an agent.
fn link_advs(mesh: &Mesh, agent: &str, result: &str) -> f64 {
    let labels = format!("{{type=\"link\",result=\"{result}\"}}");
    mesh.metric(agent, &format!("warren_advertisements_total{labels}"))
}

/// Sets the clock of `agent` and waits until `neighbor` has met one of its link advertisements with
/// `result`.
fn set_clock_until(mesh: &Mesh, agent: &str, seconds: i64, neighbor: &str, result: &str) {
    let before = link_advs(mesh, neighbor, result);
    mesh.set_clock(agent, seconds);
    within(
        PROMPTLY,
        &format!("{neighbor} finds {agent} {result}"),
        || (link_advs(mesh, neighbor, result) > before).then_some(()),
    );
}

#[test]
fn a_clock_that_is_set_costs_no_byte_no_connection_and_no_route() {
    let mut mesh = Mesh::start_all(diamond::agents().map(Spec::own_clock));
    diamond::await_both_ways(&mesh);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let mut echo = Echo::open(socks, target.address());
    let mut download = Download::start(socks, target.address(), 32 * MIB);
    let mut read = 0;
    let mut use_all = || {
        read += MIB;
        download.read_to(read);
        echo.round(1_000);
        fetch(socks, target.address());
    };
    for (victim, neighbor) in [("first", "exit"), ("ingress", "first"), ("exit", "second")] {
        for (ahead, refusal) in [(HOUR, "future_dated"), (-HOUR, "expired")] {
            // What it says is not believed any more; what it said before still is.
            set_clock_until(&mesh, victim, ahead, neighbor, refusal);
            use_all();
            diamond::await_both_ways(&mesh);

            set_clock_until(&mesh, victim, 0, neighbor, "accepted");
            use_all();
            diamond::await_both_ways(&mesh);
        }
        for direction in ["ahead", "back"] {
            mesh.await_log(victim, &["WARN", "this host's clock was set", direction]);
        }
    }
    // Told once a minute at most, and this was the first.
    let id = mesh.id("first").to_owned();
    mesh.await_log("exit", &["WARN", "clock skew", &id, "ahead of"]);
    for name in ["exit", "first", "second", "ingress"] {
        let log = mesh.process(name).log();
        for loss in ["link down", "session ended", "session has no path"] {
            assert!(!log.contains(loss), "{name}: {loss}");
        }
    }
    // The other way is as good to an ingress that lives in the future.
    set_clock_until(&mesh, "ingress", HOUR, "second", "future_dated");
    mesh.kill("first");
    use_all();
    mesh.await_chosen("ingress", DEST, SECOND);
    download.finish();
    echo.finish();
}

#[test]
fn an_agent_that_starts_with_a_wrong_clock_is_kept_out_until_it_is_right() {
    for (ahead, teller) in [(HOUR, "ingress"), (-HOUR, "first")] {
        let mut mesh = Mesh::new();
        for spec in diamond::agents() {
            let spec = match &*spec.name {
                "first" => spec.own_clock(),
                _ => spec,
            };
            mesh.add(spec);
        }
        mesh.set_clock("first", ahead);
        ["exit", "first", "second", "ingress"]
            .iter()
            .for_each(|name| mesh.start(name));
        // Its links are up; the routes over it are not.
        mesh.await_peers("ingress", 2);
        mesh.await_peers("exit", 2);
        mesh.await_log(teller, &["WARN", "clock skew: an advertisement of"]);
        mesh.await_chosen("ingress", DEST, SECOND);
        let explained = mesh.explain("ingress", DEST).expect("an answer");
        let id = format!("\"{}\"", mesh.id("first"));
        assert!(!explained.to_string().contains(&id), "{explained}");

        mesh.set_clock("first", 0);
        within(PROMPTLY, "the cheaper way is chosen", || {
            (mesh.chosen("ingress", DEST)? == FIRST).then_some(())
        });
        let target = Target::start();
        fetch(mesh.socks("ingress"), target.address());
        eventually("the first transit carries it", || {
            fetch(mesh.socks("ingress"), target.address());
            (mesh.metric("first", "warren_forwarded_packets_total") > 0.0).then_some(())
        });
    }
}
