//! What agents tell of the connections they carry: the list of them, and counters from 0.

use serde_json::json;

use crate::support::traffic::Echo;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, line};

#[test]
fn both_ends_list_a_connection_with_its_way_and_the_ingress_its_client() {
    let mesh = line::start();
    let target = Target::start();
    let mut echo = Echo::open(mesh.socks("ingress"), target.address());
    echo.round(100);
    let listed = |name: &str| {
        let streams = mesh.get(name, "/api/streams").json();
        assert_eq!(streams.as_array().map(Vec::len), Some(1), "{streams}");
        streams[0].clone()
    };
    let ids = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| mesh.id(name).to_owned()).collect()
    };
    let at_ingress = listed("ingress");
    assert_eq!(at_ingress["client"], echo.client().to_string());
    assert_eq!(at_ingress["path"], json!(ids(&["transit", "exit"])));
    let way_back = json!(ids(&["transit", "ingress"]));
    let at_exit = eventually("a probe has told the exit the way back", || {
        let at_exit = listed("exit");
        (at_exit["path"] == way_back).then_some(at_exit)
    });
    assert!(at_exit["client"].is_null(), "{at_exit}");
    assert_eq!(at_exit["target"], target.address().to_string());
    echo.finish();
}

#[test]
fn counters_are_there_before_their_first_event() {
    let mesh = Mesh::start_all([Spec::new("both").socks5().exit(LOOPBACK)]);
    eventually("the agent answers", || mesh.healthz("both"));
    let metrics = mesh.get("both", "/metrics").body;
    for sample in [
        "warren_connects_total{result=\"no_route\"} 0",
        "warren_connects_total{result=\"client_gone\"} 0",
        "warren_connect_retries_total 0",
        "warren_socks_handshake_failures_total{reason=\"auth\"} 0",
        "warren_exit_connects_total{result=\"refused\"} 0",
        "warren_exit_resolves_total{result=\"busy\"} 0",
        "warren_exit_bad_requests_total 0",
    ] {
        assert!(metrics.contains(sample), "{sample}:\n{metrics}");
    }
}
