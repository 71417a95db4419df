//! Routes that an exit is given while it runs.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::reload::{changes, edit};
use crate::support::command::{Finished, warren};
use crate::support::diamond::{self, FIRST, SECOND};
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target, http, pair, socks};

const PATH: &str = "/api/routes/advertise";

/// A request with a JSON body; its status and its answer.
fn ask(mesh: &Mesh, name: &str, method: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request = format!(
        "{method} {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = http::send(mesh.http(name), &request).expect("an answer");
    (answer.status, answer.json())
}

fn route(mesh: &Mesh, name: &str, words: &[&str]) -> Finished {
    let api = mesh.api_url(name);
    warren(&[&["route"], words, &["--api", &api]].concat())
}

fn reaches(mesh: &Mesh, name: &str, dest: &str) -> bool {
    mesh.chosen(name, dest).is_some()
}

/// How long it takes until every agent goes by it.
fn seen_everywhere(mesh: &Mesh, names: &[&str], dest: &str, there: bool) -> Duration {
    let start = Instant::now();
    eventually("everybody has heard", || {
        let heard = |name: &&str| reaches(mesh, name, dest) == there;
        names.iter().all(heard).then_some(())
    });
    start.elapsed()
}

/// An origin says something new once a second: a change is heard of at once, and one that follows it on
/// its heels a second after it.
#[test]
fn a_route_that_is_added_or_removed_is_seen_in_the_whole_mesh_within_a_second() {
    let mesh = Mesh::start_all(diamond::agents());
    mesh.await_paths("ingress", "127.0.0.1", &[FIRST, SECOND]);
    let others = ["ingress", "first", "second"];
    let mut longest = [Duration::ZERO; 2];
    for (dest, prefix) in [("10.2.0.1", "10.2.0.0/16"), ("10.3.0.1", "10.3.0.0/16")] {
        thread::sleep(Duration::from_millis(1_100));
        let added = route(&mesh, "exit", &["add", prefix]);
        assert_eq!(added.code, Some(0), "{added:#?}");
        longest[0] = longest[0].max(seen_everywhere(&mesh, &others, dest, true));
        route(&mesh, "exit", &["remove", prefix]).success();
        longest[1] = longest[1].max(seen_everywhere(&mesh, &others, dest, false));
    }
    let [alone, following] = longest;
    println!(
        "seen by all agents after {alone:?}, and right after another change after {following:?}"
    );
    assert!(alone < Duration::from_secs(1), "{alone:?}");
    assert!(following < Duration::from_secs(2), "{following:?}");
}

#[test]
fn added_routes_carry_traffic_live_over_reloads_and_end_with_the_process() {
    let exit = Spec::new("exit").listen().exit("routes: [10.0.0.0/8]");
    let mut mesh = pair::start_as(exit, pair::hasty_ingress());
    let target = Target::start();
    let (port, address) = (mesh.socks("ingress"), target.address());
    assert_eq!(socks::refusal(port, address), 3);

    let body = json!({ "routes": ["127.0.0.0/8"] }).to_string();
    let (status, answer) = ask(&mesh, "exit", "POST", &body);
    assert_eq!((status, &answer["status"]), (200, &json!("ok")), "{answer}");
    let all = json!(["10.0.0.0/8", "127.0.0.0/8"]);
    assert_eq!(answer["routes"], all);
    assert_eq!(ask(&mesh, "exit", "GET", "").1, answer);
    mesh.await_chosen("ingress", "127.0.0.1", &["exit"]);
    let mut echo = Echo::open(port, address);
    echo.round(1_000);
    let own = mesh.get("exit", "/api/routes").json();
    let marks = own.as_array().expect("a list").iter();
    let marks: Vec<_> = marks
        .map(|r| (r["destination"].clone(), r["added"].clone()))
        .collect();
    let expected = [("10.0.0.0/8", false), ("127.0.0.0/8", true)];
    assert_eq!(
        marks,
        expected.map(|(route, added)| (json!(route), json!(added)))
    );

    // The same again is no error, and a reload of the file leaves it.
    assert_eq!(ask(&mesh, "exit", "POST", &body).1["routes"], all);
    edit(&mesh, "exit", "10.0.0.0/8", "10.0.0.0/9");
    assert_eq!(changes(&mesh, "exit"), ["exit.routes"]);
    assert_eq!(
        ask(&mesh, "exit", "GET", "").1["routes"],
        json!(["10.0.0.0/9", "127.0.0.0/8"])
    );
    fetch(port, address);

    // What is open outlives its route.
    let (status, _) = ask(&mesh, "exit", "DELETE", &body);
    assert_eq!(status, 200);
    eventually("it is withdrawn", || {
        (!reaches(&mesh, "ingress", "127.0.0.1")).then_some(())
    });
    assert_eq!(socks::refusal(port, address), 3);
    echo.round(1_000);
    echo.finish();

    route(&mesh, "exit", &["add", "127.0.0.0/8"]).success();
    mesh.start("exit");
    mesh.await_ready("exit");
    let listed = route(&mesh, "exit", &["list"]).success();
    assert_eq!(listed, "10.0.0.0/8  file\n", "the next start forgets");
}

#[test]
fn what_is_saved_is_there_after_the_next_start() {
    let mut mesh = pair::start();
    let names = ["10.2.0.0/16", "*.corp.example"];
    route(&mesh, "exit", &[&["add"], &names[..], &["--save"]].concat()).success();
    mesh.kill("exit");
    mesh.start("exit");
    mesh.await_ready("exit");
    mesh.await_chosen("ingress", "10.2.0.1", &["exit"]);
    let listed = route(&mesh, "exit", &["list"]).success();
    let saved = "127.0.0.0/8  file\n10.2.0.0/16  saved\n*.corp.example  saved\n";
    assert_eq!(listed, saved);

    // Gone for now, and back at the next start; or gone for good.
    route(&mesh, "exit", &["remove", names[0]]).success();
    route(&mesh, "exit", &["remove", names[1], "--save"]).success();
    let listed = route(&mesh, "exit", &["list"]).success();
    assert_eq!(
        listed,
        "127.0.0.0/8  file\n10.2.0.0/16  after the next start\n"
    );
    mesh.kill("exit");
    mesh.start("exit");
    mesh.await_ready("exit");
    mesh.await_chosen("ingress", "10.2.0.1", &["exit"]);
    let listed = route(&mesh, "exit", &["list"]).success();
    assert_eq!(listed, "127.0.0.0/8  file\n10.2.0.0/16  saved\n");

    // A file that was damaged costs what is damaged.
    mesh.kill("exit");
    let kept = mesh.dir().join("exit-data/routes");
    let text = fs::read_to_string(&kept).expect("what was saved");
    fs::write(&kept, format!("{text}10.3.0.1/16\n")).expect("the test's folder is writable");
    mesh.start("exit");
    mesh.await_ready("exit");
    mesh.await_chosen("ingress", "10.2.0.1", &["exit"]);
    mesh.await_log(
        "exit",
        &["a route that was saved is not advertised", "10.3.0.0/16"],
    );
}

#[test]
fn what_may_not_be_added_changes_nothing_and_says_why() {
    let mut mesh = Mesh::new();
    let granted = ["--route", "10.0.0.0/8", "--domain", "*.corp.example"];
    let exit = pair::exit().exit("routes: [10.0.0.0/16]").grants(&granted);
    mesh.add(exit.extra("limits: { routes_per_origin: 3 }"));
    mesh.add(pair::ingress());
    mesh.start("exit");
    mesh.start("ingress");
    mesh.await_chosen("ingress", "10.0.0.1", &["exit"]);
    for (words, told) in [
        (
            &["add", "192.0.2.0/24"][..],
            "the certificate does not grant 192.0.2.0/24",
        ),
        (
            &["add", "10.1.0.0/16", "a.example"],
            "the certificate does not grant a.example",
        ),
        (
            &["add", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"],
            "4 routes; limits.routes_per_origin allows 3",
        ),
        (&["add", "10.1.0.1/16"], "did you mean 10.1.0.0/16?"),
        (&["add", "10.1.0.1"], "did you mean 10.1.0.1/32?"),
        (&["add", "no name"], "is not a domain pattern"),
        (
            &["remove", "10.0.0.0/16"],
            "stands in the agent's file: take it out there, and reload",
        ),
        (
            &["remove", "10.7.0.0/16"],
            "10.7.0.0/16 is no route of this exit",
        ),
    ] {
        let refused = route(&mesh, "exit", words);
        assert_eq!(refused.code, Some(1), "{refused:#?}");
        assert!(refused.error_line().contains(told), "{told}: {refused:#?}");
        let listed = route(&mesh, "exit", &["list"]).success();
        assert_eq!(listed, "10.0.0.0/16  file\n", "{words:?}");
    }
    for body in [
        "",
        "{}",
        "[]",
        "{\"routes\": []}",
        "{\"routes\": \"10.1.0.0/16\"}",
        "{\"routes\": [\"10.1.0.0/16\"], \"sav\": true}",
    ] {
        let (status, answer) = ask(&mesh, "exit", "POST", body);
        assert_eq!(status, 400, "{body}: {answer}");
        let told = answer["error"].as_str();
        assert!(told.is_some_and(|told| told.contains("write `{")));
    }
    let none = route(&mesh, "ingress", &["add", "10.1.0.0/16"]);
    assert!(
        none.error_line().contains("this agent is no exit"),
        "{none:#?}"
    );
    // Where nothing can be kept, nothing is changed.
    let kept = mesh.dir().join("exit-data/routes");
    fs::create_dir(&kept).expect("the test's folder is writable");
    let unsaved = route(&mesh, "exit", &["add", "10.1.0.0/16", "--save"]);
    assert!(
        unsaved.error_line().contains("cannot keep them in"),
        "{unsaved:#?}"
    );
    let listed = route(&mesh, "exit", &["list"]).success();
    assert_eq!(listed, "10.0.0.0/16  file\n");
    route(&mesh, "exit", &["add", "10.1.0.0/16", "*.corp.example"]).success();
    mesh.await_chosen("ingress", "10.1.0.1", &["exit"]);
}
