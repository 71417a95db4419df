//! The HTTP side of a running agent.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::login::hash;
use crate::support::command::{run, warren};
use crate::support::mesh::path_text;
use crate::support::traffic::fetch;
use crate::support::wait::eventually;
use crate::support::{LOOPBACK, Mesh, Spec, Target, WARREN, http, line, pair};

/// What others rely on, at every agent.
const METRICS: [&str; 14] = [
    "warren_links",
    "warren_routes",
    "warren_streams",
    "warren_stream_bytes_total",
    "warren_forwarded_packets_total",
    "warren_forwarded_bytes_total",
    "warren_dropped_packets_total",
    "warren_failovers_total",
    "warren_failover_detect_seconds",
    "warren_failover_stall_seconds",
    "warren_advertisements_total",
    "warren_certificate_expiry_seconds",
    "warren_sessions_short_of_windows",
    "warren_tasks",
];

/// And at an ingress.
const INGRESS_METRICS: [&str; 2] = ["warren_connects_total", "warren_connect_retries_total"];

#[test]
fn an_agent_is_alive_before_it_is_ready_and_ready_with_its_first_route() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("exit").listen().exit(LOOPBACK));
    mesh.add(Spec::new("ingress").socks5().peer("exit"));
    mesh.start("ingress");
    let health = eventually("the ingress answers", || {
        http::get(mesh.http("ingress"), "/health").ok()
    });
    assert_eq!((health.status, health.body.trim()), (200, "OK"));
    let ready = mesh.get("ingress", "/ready");
    assert_eq!((ready.status, ready.body.trim()), (503, "NOT READY"));
    let healthz = mesh.get("ingress", "/healthz");
    assert_eq!(healthz.status, 503);
    let json = healthz.json();
    assert_eq!(json["status"], "unavailable");
    assert_eq!((&json["peers"], &json["routes"]), (&0.into(), &0.into()));
    assert!(!json["reasons"].as_array().expect("a list").is_empty());

    mesh.start("exit");
    mesh.await_ready("ingress");
    assert_eq!(mesh.get("ingress", "/ready").body.trim(), "READY");
}

#[test]
fn healthz_has_every_field_in_both_spellings() {
    let mesh = pair::start();
    let answer = mesh.get("ingress", "/healthz");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.head.to_lowercase().contains("application/json"),
        "{answer:?}"
    );
    let json = answer.json();
    assert!(
        json["status"] == "healthy" || json["status"] == "degraded",
        "{json}"
    );
    assert_eq!(json["running"], true);
    assert_eq!(json["agent_id"], mesh.id("ingress"));
    assert_eq!(json["display_name"], "ingress");
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        json["uptime_s"].is_u64() || json["uptime_s"].is_f64(),
        "{json}"
    );
    assert_eq!(
        (&json["peers"], &json["peer_count"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        (&json["routes"], &json["route_count"]),
        (&1.into(), &1.into())
    );
    assert_eq!(json["stream_count"], 0);
    assert_eq!(json["socks5_running"], true);
    assert_eq!(json["exit_handler_running"], false);
    assert!(json["reasons"].is_array());

    let exit = mesh.get("exit", "/healthz").json();
    assert_eq!(exit["socks5_running"], false);
    assert_eq!(exit["exit_handler_running"], true);
}

#[test]
fn an_ingress_that_lost_its_redundancy_names_what_hangs_by_one_path() {
    let mut mesh = Mesh::start_all([
        Spec::new("exit").listen().exit(LOOPBACK),
        Spec::new("first").listen().peer("exit"),
        Spec::new("second").listen().peer("exit"),
        Spec::new("ingress").socks5().peer("first").peer("second"),
    ]);
    let await_status = |mesh: &Mesh, status: &str| {
        eventually(&format!("the ingress is {status}"), || {
            let json = mesh.healthz("ingress")?;
            (json["status"] == status).then_some(json)
        })
    };
    let healthy = await_status(&mesh, "healthy");
    assert_eq!(healthy["reasons"], serde_json::json!([]));

    mesh.kill("first");
    let has = |json: &Value, reason: &str| {
        let reasons = json["reasons"].as_array().expect("a list");
        reasons.iter().any(|known| known == reason)
    };
    let lost = format!(
        "peer {} (first) is not linked: no heartbeat",
        mesh.id("first")
    );
    eventually("the ingress names what it lost", || {
        let json = mesh.healthz("ingress")?;
        (has(&json, "one path left to 127.0.0.0/8") && has(&json, &lost)).then_some(())
    });
    assert_eq!(mesh.get("ingress", "/healthz").status, 200);
    assert_eq!(mesh.get("ingress", "/ready").body.trim(), "READY");
    // Nothing hangs by one path for an agent that opens no sessions.
    let exit = mesh.healthz("exit").expect("the exit answers");
    assert!(!has(&exit, "one path left to 127.0.0.0/8"), "{exit}");

    mesh.start("first");
    await_status(&mesh, "healthy");
}

#[test]
fn metrics_have_the_names_that_others_rely_on() {
    let mesh = line::start();
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
    for name in ["ingress", "transit", "exit"] {
        let answer = mesh.get(name, "/metrics");
        assert_eq!(answer.status, 200);
        let of_role = INGRESS_METRICS.into_iter().filter(|_| name == "ingress");
        for metric in METRICS.into_iter().chain(of_role) {
            // Present from the start: a rate needs the zero before the first event.
            let known = answer.body.lines().any(|line| line.starts_with(metric));
            assert!(known, "{name} has no {metric} in\n{}", answer.body);
        }
    }
    assert!(mesh.metric("transit", "warren_forwarded_packets_total") > 0.0);
    assert!(mesh.metric("transit", "warren_forwarded_bytes_total") > 4096.0);
    assert!(mesh.metric("ingress", "warren_stream_bytes_total") > 4096.0);
    assert!(mesh.metric("ingress", "warren_connects_total") >= 1.0);
    assert_eq!(mesh.metric("ingress", "warren_routes"), 1.0);
    let labels = mesh.get("ingress", "/metrics").body;
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    for label in [
        "warren_links{",
        "name=\"transit\"",
        "state=\"",
        "direction=\"",
        "result=\"",
        "warren_build_info{",
        version,
    ] {
        assert!(labels.contains(label), "no {label} in\n{labels}");
    }
    for own in [
        "cpu_seconds_total",
        "resident_memory_bytes",
        "open_fds",
        "max_fds",
    ] {
        assert!(
            mesh.metric("ingress", &format!("process_{own}")) > 0.0,
            "{own}"
        );
    }
    let (start, now) = (
        mesh.metric("ingress", "process_start_time_seconds"),
        SystemTime::now(),
    );
    let now = now.duration_since(UNIX_EPOCH).expect("a clock after 1970");
    assert!(
        (now.as_secs_f64() - start).abs() < 600.0,
        "started at {start}"
    );
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let mesh = pair::start();
    let target = Target::start();
    fetch(mesh.socks("ingress"), target.address());
    for name in ["ingress", "exit"] {
        let metrics = mesh.get(name, "/metrics").body;
        let mut promtool = Command::new("promtool");
        let checked = run(promtool.args(["check", "metrics"]), &metrics);
        assert_eq!(checked.code, Some(0), "{checked:#?}");
        assert_eq!((&*checked.stdout, &*checked.stderr), ("", ""), "{name}");
    }
}

#[test]
fn management_lists_are_json() {
    let mesh = pair::start();
    for list in ["peers", "routes", "streams", "topology", "events"] {
        let answer = mesh.get("ingress", &format!("/api/{list}"));
        assert_eq!(answer.status, 200, "{list}: {answer:?}");
        answer.json();
    }
    let peers = mesh.get("ingress", "/api/peers").body;
    assert!(peers.contains(mesh.id("exit")), "{peers}");
    let routes = mesh.get("ingress", "/api/routes").body;
    assert!(routes.contains("127.0.0.0/8"), "{routes}");
    let bad = mesh.get("ingress", "/api/explain");
    assert_eq!(bad.status, 400, "{bad:?}");
    assert_eq!(mesh.get("ingress", "/api/nothing").status, 404);
}

#[test]
fn a_peer_that_is_down_has_the_cost_of_the_file() {
    let mut mesh = Mesh::new();
    mesh.add(Spec::new("absent").listen());
    mesh.add(Spec::new("agent").listen().peer_at("absent", 7));
    mesh.start("agent");
    eventually("the agent answers", || mesh.healthz("agent"));
    let peers = mesh.get("agent", "/api/peers").json();
    assert_eq!(peers[0]["id"], mesh.id("absent"), "{peers}");
    assert_eq!(peers[0]["cost"], 7, "{peers}");
}

#[test]
fn a_page_on_another_site_cannot_use_a_browser_to_manage_the_agent() {
    let mesh = Mesh::start_all([Spec::new("agent").listen()]);
    eventually("the agent answers", || mesh.healthz("agent"));
    // Loopback by address, but the browser says that it speaks for a foreign name.
    let request = "GET /api/peers HTTP/1.0\r\nhost: rebound.example:8080\r\n\r\n";
    let answer = http::send(mesh.http("agent"), request).expect("an answer");
    assert!(matches!(answer.status, 401 | 403), "{answer:?}");
    // Health stays open to everyone.
    let request = "GET /healthz HTTP/1.0\r\nhost: rebound.example:8080\r\n\r\n";
    let answer = http::send(mesh.http("agent"), request).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_token_that_is_offered_must_be_the_right_one() {
    let hash = hash("open sesame");
    let mesh = Mesh::start_all([Spec::new("agent")
        .listen()
        .http(&format!("token_hash: '{hash}'"))]);
    eventually("the agent answers", || mesh.healthz("agent"));
    // As from another host: the name is not one of loopback's.
    let ask = |authorization: &str| {
        let request =
            format!("GET /api/peers HTTP/1.0\r\nhost: agent.example\r\n{authorization}\r\n");
        let answer = http::send(mesh.http("agent"), &request).expect("an answer");
        answer.status
    };
    assert_eq!(ask("authorization: Bearer open sesame\r\n"), 200);
    assert_eq!(ask("authorization: Bearer wrong\r\n"), 401);
    assert!(matches!(ask(""), 401 | 403));
}

#[test]
fn a_token_is_asked_of_everyone_but_the_operator_at_the_local_socket() {
    let hash = hash("open sesame");
    let mut mesh = Mesh::start_all([Spec::new("agent")
        .listen()
        .http(&format!("token_hash: '{hash}'"))]);
    eventually("the agent answers", || mesh.healthz("agent"));
    // As a proxy on this host asks that tells nothing of its client.
    let proxied = format!(
        "GET /api/peers HTTP/1.0\r\nhost: {}\r\n\r\n",
        mesh.http("agent")
    );
    let answer = http::send(mesh.http("agent"), &proxied).expect("an answer");
    assert_eq!(answer.status, 401, "{answer:?}");
    let socket = mesh.dir().join("agent-data/api.sock");
    let mode = fs::metadata(&socket)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let peers = |api: &str| warren(&["peers", "--json", "--api", api]);
    assert_eq!(peers(&mesh.api_url("agent")).code, Some(1));
    assert_eq!(peers(&path_text(&socket)).success().trim(), "[]");
    // In the agent's folder the commands find it by themselves.
    let folder = mesh.dir().join("folder");
    fs::create_dir(&folder).expect("the test's folder is writable");
    symlink(mesh.dir().join("agent-data"), folder.join("data")).expect("a link can be made");
    let found = || {
        let mut command = Command::new(WARREN);
        command
            .arg("status")
            .current_dir(&folder)
            .env_remove("WARREN_API");
        run(&mut command, "")
    };
    let said = found().success();
    assert!(said.contains("agent"), "{said}");
    // A killed agent leaves its socket behind, and the next takes its place.
    mesh.kill("agent");
    assert!(socket.exists());
    mesh.start("agent");
    eventually("the agent answers again", || {
        (found().code == Some(0)).then_some(())
    });
    mesh.process("agent").signal("TERM");
    mesh.process("agent").wait_exit(Duration::from_secs(20));
    assert!(
        !socket.exists(),
        "an agent that ends in order takes it along"
    );
}
