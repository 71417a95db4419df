//! The path hop by hop, measured from the ingress.

use serde_json::Value;

use crate::support::command::warren;
use crate::support::diamond::{self, DEST, FIRST, SECOND};
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target};

/// A link between two such agents outlives the test whatever happens to one of them.
const PATIENT: &str = "heartbeat: 10s, dead_after: 10";

fn trace(mesh: &Mesh, name: &str) -> Value {
    let api = mesh.api_url(name);
    let printed = warren(&["trace", DEST, "--json", "--api", &api]).success();
    serde_json::from_str(&printed).expect("JSON")
}

fn names(hops: &Value) -> Vec<&str> {
    let hops = hops.as_array().expect("a list of hops").iter();
    hops.map(|hop| hop["display_name"].as_str().expect("a name"))
        .collect()
}

/// Whether every hop answered at least once, with figures that make sense.
fn answered(hops: &Value) -> bool {
    hops.as_array().expect("a list of hops").iter().all(|hop| {
        assert_eq!(hop["sent"], 5, "{hop}");
        let lost = hop["lost"].as_u64().expect("a number");
        let figure = |name: &str| hop["rtt_ms"][name].as_f64();
        if let (Some(min), Some(avg), Some(max)) = (figure("min"), figure("avg"), figure("max")) {
            assert!(0.0 < min && min <= avg && avg <= max, "{hop}");
        }
        assert_eq!(hop["rtt_ms"].is_null(), lost == 5, "{hop}");
        lost < 5
    })
}

#[test]
fn every_hop_of_both_paths_is_measured_and_the_session_shown() {
    let mesh = diamond::start();
    // A machine that stands still for a second loses echoes: asked until all have answered.
    let traced = eventually("every hop answers", || {
        let traced = trace(&mesh, "ingress");
        (answered(&traced["path"]) && answered(&traced["alternate"])).then_some(traced)
    });
    assert_eq!(traced["dest"], DEST);
    assert_eq!(traced["exit"], mesh.id("exit"));
    assert_eq!(names(&traced["path"]), FIRST);
    assert_eq!(names(&traced["alternate"]), SECOND);
    assert_eq!(traced["session"], Value::Null);

    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
    eventually("the session's probe is measured", || {
        let session = &trace(&mesh, "ingress")["session"];
        assert_eq!(names(&session["path"]), FIRST);
        session["rtt_ms"].as_f64()
    });
    let api = mesh.api_url("ingress");
    let sheet = warren(&["trace", DEST, "--wide", "--api", &api]).success();
    assert!(sheet.contains("held ready:"), "{sheet}");
    assert!(sheet.contains("it uses the path above"), "{sheet}");
}

#[test]
fn an_agent_that_stopped_answering_shows_where_it_is() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit")
            .listen()
            .connections(PATIENT)
            .exit(LOOPBACK),
        Spec::new("transit")
            .listen()
            .connections(PATIENT)
            .peer("exit"),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    mesh.await_chosen("ingress", DEST, &["transit", "exit"]);
    mesh.process("exit").signal("STOP");
    let traced = eventually("the transit answers", || {
        let traced = trace(&mesh, "ingress");
        (traced["path"][0]["lost"] == 0).then_some(traced)
    });
    let exit = &traced["path"][1];
    assert_eq!((&exit["lost"], &exit["rtt_ms"]), (&5.into(), &Value::Null));
    mesh.process("exit").signal("CONT");
}

#[test]
fn a_destination_without_a_route_or_hops_is_an_answer() {
    let mesh = Mesh::start_all([Spec::new("exit").listen().exit(LOOPBACK)]);
    eventually("the exit answers", || mesh.healthz("exit"));
    let traced = trace(&mesh, "exit");
    assert_eq!(traced["exit"], mesh.id("exit"));
    assert_eq!(traced["path"], Value::Array(Vec::new()));
    let api = mesh.api_url("exit");
    let sheet = warren(&["trace", "192.0.2.1", "--api", &api]).success();
    assert!(sheet.contains("no live route"), "{sheet}");
    let refused = warren(&["trace", "10.0.0.0/8", "--api", &api]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
}
