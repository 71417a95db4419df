//! An exit advertises what it can serve, and nothing else.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::support::command::warren;
use crate::support::ports::free_port;
use crate::support::socks::refusal;
use crate::support::traffic::{Echo, fetch};
use crate::support::wait::eventually;
use crate::support::{Mesh, Spec, Target};

const DEST: &str = "127.0.0.1";
const LOOPBACK_NET: &str = "127.0.0.0/8";
const OTHER_NET: &str = "10.9.0.0/16";

const NO_ROUTE: u8 = 0x03;

/// Quick, and patient enough for a machine on which servers stand still for half a second.
const QUICK: &str = "interval: 250ms, timeout: 250ms, fall: 3, rise: 2";

/// An HTTP server that answers everything with 200, until it is dropped.
struct Service {
    address: SocketAddr,
    stops: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Service {
    fn start(port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).expect("the port is free");
        let stops = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stops);
        let accepting = thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let mut request = [0; 4096];
                // A check that gave up needs no answer.
                let _ = client.read(&mut request);
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        Self {
            address,
            stops,
            accepting: Some(accepting),
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which closes the port as it ends.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// The exits that `name` knows for a prefix, by id.
fn exits(mesh: &Mesh, name: &str, prefix: &str) -> BTreeSet<String> {
    let routes = mesh.get(name, "/api/routes").json();
    let routes = routes.as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    routes
        .filter(|route| text(&route["destination"]) == prefix)
        .map(|route| text(&route["exit"]))
        .collect()
}

fn complains(mesh: &Mesh, name: &str, words: &str) -> bool {
    let health = mesh.healthz(name).expect("the agent answers");
    let reasons = health["reasons"].as_array().expect("a list").iter();
    let said = reasons.filter_map(|reason| reason.as_str());
    let complains = said.into_iter().any(|reason| reason.contains(words));
    assert!(!complains || health["status"] == "degraded", "{health}");
    complains
}

fn health_events(mesh: &Mesh, name: &str) -> Vec<Value> {
    let events = mesh.get(name, "/api/events").json();
    let mut events = events.as_array().expect("a list").clone();
    events.retain(|event| {
        let kind = event["kind"].as_str().expect("a kind");
        kind.starts_with("health_")
    });
    events
}

#[test]
fn a_failing_check_withdraws_what_it_guards_until_it_passes_again() {
    let port = free_port();
    let service = Service::start(port);
    let east = format!(
        "routes: [{LOOPBACK_NET}, {OTHER_NET}], health_checks: [\
         {{ name: service, http: 'http://127.0.0.1:{port}/health', {QUICK}, \
            routes: [{LOOPBACK_NET}] }}]"
    );
    let mut mesh = Mesh::start_all([
        Spec::new("east").listen().exit(&east),
        Spec::new("west")
            .listen()
            .exit(&format!("routes: [{LOOPBACK_NET}]")),
        Spec::new("transit")
            .listen()
            .peer("east")
            .peer_at("west", 2),
        Spec::new("ingress").socks5().peer("transit"),
    ]);
    let target = Target::start();
    let socks = mesh.socks("ingress");
    let (east, west) = (mesh.id("east").to_owned(), mesh.id("west").to_owned());
    let both = BTreeSet::from([east.clone(), west.clone()]);

    let mut service = Some(service);
    for round in 0..2 {
        mesh.await_chosen("ingress", DEST, &["transit", "east"]);
        mesh.await_paths("ingress", DEST, &[&["transit", "west"]]);
        assert_eq!(exits(&mesh, "ingress", LOOPBACK_NET), both);
        assert!(!complains(&mesh, "east", "health check"));
        assert_eq!(mesh.metric("east", "warren_exit_health"), 1.0);
        let mut echo = Echo::open(socks, target.address());
        echo.round(100);

        drop(service.take());
        mesh.await_chosen("ingress", DEST, &["transit", "west"]);
        let left = exits(&mesh, "ingress", LOOPBACK_NET);
        assert_eq!(left, BTreeSet::from([west.clone()]));
        let others = exits(&mesh, "ingress", OTHER_NET);
        assert_eq!(others, BTreeSet::from([east.clone()]), "not guarded");
        assert!(complains(
            &mesh,
            "east",
            "health check service fails: cannot connect"
        ));
        assert_eq!(mesh.metric("east", "warren_exit_health"), 0.0);
        fetch(socks, target.address());
        // What is open stays open.
        echo.round(100);
        echo.finish();

        service = Some(Service::start(port));
        let transitions = f64::from(2 * round + 3);
        eventually("the check is up", || {
            let seen = mesh.metric("east", "warren_exit_health_transitions_total");
            (seen >= transitions).then_some(())
        });
    }
    mesh.await_chosen("ingress", DEST, &["transit", "east"]);
    await_told(&mut mesh);
}

/// The check of `east` that went down and up twice is in its events and its log.
fn await_told(mesh: &mut Mesh) {
    let log = health_events(mesh, "east");
    let kinds: Vec<&str> = log.iter().filter_map(|e| e["kind"].as_str()).collect();
    let (up, down) = ("health_up", "health_down");
    assert_eq!(kinds, [up, down, up, down, up], "{log:#?}");
    for event in &log {
        assert_eq!(event["check"], "service", "{event}");
        assert_eq!(event["routes"], json!([LOOPBACK_NET]), "{event}");
        assert_eq!(event["route_count"], 1, "{event}");
    }
    let reason = log[1]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("cannot connect"), "{reason}");
    let sheet = warren(&["events", "--api", &mesh.api_url("east")]).success();
    for line in [
        format!("health check down: service: {reason}; withdrawn: {LOOPBACK_NET}\n"),
        format!("health check up: service; advertised: {LOOPBACK_NET}\n"),
    ] {
        assert!(sheet.contains(&line), "{line}: {sheet}");
    }
    mesh.await_log("east", &["WARN", "health check is down", "service"]);
    mesh.await_log("east", &["INFO", "health check is up", "service"]);
}

#[test]
fn what_is_down_from_the_start_is_not_advertised_before_it_is_up() {
    let port = free_port();
    let exit = format!(
        "routes: [{LOOPBACK_NET}, {OTHER_NET}], health_checks: [\
         {{ tcp: '127.0.0.1:{port}', {QUICK}, routes: [{LOOPBACK_NET}] }}]"
    );
    let mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(&exit),
        Spec::new("ingress").socks5().peer("exit"),
    ]);
    let target = Target::start();
    mesh.await_chosen("ingress", "10.9.0.1", &["exit"]);
    eventually("the check has a result", || {
        complains(
            &mesh,
            "exit",
            &format!("health check tcp 127.0.0.1:{port} fails"),
        )
        .then_some(())
    });
    assert!(exits(&mesh, "ingress", LOOPBACK_NET).is_empty());
    let [down] = &health_events(&mesh, "exit")[..] else {
        panic!("one event");
    };
    // Nothing was advertised that could be withdrawn.
    let (kind, count) = (&down["kind"], &down["route_count"]);
    assert_eq!((kind, count), (&"health_down".into(), &0.into()), "{down}");
    assert_eq!(refusal(mesh.socks("ingress"), target.address()), NO_ROUTE);

    let _service = Service::start(port);
    mesh.await_chosen("ingress", DEST, &["exit"]);
    fetch(mesh.socks("ingress"), target.address());
}

/// An agent that is its own exit refuses its own clients alike.
#[test]
fn an_exit_without_a_healthy_route_is_no_exit_for_its_own_clients_either() {
    let port = free_port();
    let service = Service::start(port);
    let exit = format!(
        "routes: [{LOOPBACK_NET}], health_checks: [{{ tcp: '127.0.0.1:{port}', {QUICK} }}]"
    );
    let mesh = Mesh::start_all([Spec::new("both").listen().socks5().exit(&exit)]);
    let target = Target::start();
    eventually("the agent reaches the target", || {
        crate::support::traffic::try_fetch(mesh.socks("both"), target.address()).then_some(())
    });
    drop(service);
    eventually("the route is withdrawn", || {
        exits(&mesh, "both", LOOPBACK_NET).is_empty().then_some(())
    });
    assert_eq!(refusal(mesh.socks("both"), target.address()), NO_ROUTE);
}
