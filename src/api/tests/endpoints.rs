use std::sync::atomic::Ordering;

use serde_json::json;

use super::super::Status;
use super::super::testing::{id, serve};
use super::*;

#[tokio::test]
async fn health_says_ok_to_every_kind_of_check() {
    let fake = serve(settings()).await;
    let answer = get(fake.address, "/health").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "OK"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let head = request(fake.address, "HEAD", "/health").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for check in [
        "OPTIONS /health HTTP/1.0\r\n\r\n",
        "HEAD /health HTTP/1.0\r\n\r\n",
    ] {
        assert_eq!(raw(fake.address, check).await.status, 200, "{check}");
    }
}

#[tokio::test]
async fn healthz_and_ready_follow_the_status() {
    let fake = serve(settings()).await;
    for (status, name, code, ready) in [
        (Status::Healthy, "healthy", 200, "READY\n"),
        (Status::Degraded, "degraded", 200, "READY\n"),
        (Status::Draining, "draining", 503, "NOT READY\n"),
        (Status::Unavailable, "unavailable", 503, "NOT READY\n"),
    ] {
        *fake.agent.status.lock().unwrap() = status;
        let answer = get(fake.address, "/healthz").await;
        assert_eq!(answer.status, code);
        assert_eq!(answer.json()["status"], name);
        let answer = get(fake.address, "/ready").await;
        assert_eq!((answer.status, answer.body.as_str()), (code, ready));
        let options = request(fake.address, "OPTIONS", "/ready").await;
        assert_eq!(options.status, code);
        // HAProxy's bare `option httpchk`.
        let bare = raw(fake.address, "OPTIONS / HTTP/1.0\r\n\r\n").await;
        assert_eq!(bare.status, code);
    }
}

#[tokio::test]
async fn healthz_has_every_promised_field() {
    let fake = serve(settings()).await;
    let answer = get(fake.address, "/healthz").await;
    assert_eq!(
        answer.json(),
        json!({
            "status": "healthy", "running": true, "agent_id": id(0x11),
            "display_name": "ingress-1", "version": "0.1.0", "uptime_s": 3_725,
            "peers": 2, "peer_count": 2, "routes": 5, "route_count": 5, "stream_count": 1,
            "socks5_running": true, "exit_handler_running": false, "reasons": [],
        })
    );
}

#[tokio::test]
async fn metrics_are_classic_text_and_open_metrics_for_those_who_ask() {
    let fake = serve(settings()).await;
    get(fake.address, "/health").await;
    let sample = "warren_http_requests_total{status=\"200\"} 1";
    let classic = get(fake.address, "/metrics").await;
    assert_eq!(classic.status, 200);
    let kind = Some("text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(classic.header("content-type"), kind);
    assert!(classic.body.contains(sample), "{}", classic.body);
    let counter = "# TYPE warren_http_requests_total counter\n";
    assert!(classic.body.contains(counter), "{}", classic.body);
    assert!(!classic.body.contains("# EOF"));

    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\nConnection: close";
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n\r\n");
    let open = raw(fake.address, &request).await;
    let kind = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(open.header("content-type"), kind);
    assert!(open.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn management_lists_what_the_agent_knows() {
    let fake = serve(settings()).await;
    let peers = get(fake.address, "/api/peers").await.json();
    assert_eq!(peers[0]["id"], json!(id(0x22)));
    assert_eq!(peers[0]["state"], "up");
    assert_eq!(peers[0]["direction"], "dialled");
    assert_eq!(peers[1]["rtt_ms"], Value::Null);
    let routes = get(fake.address, "/api/routes").await.json();
    assert_eq!(routes[0]["kind"], "prefix");
    assert_eq!(routes[0]["path"], json!([id(0x22), id(0x77)]));
    assert_eq!(routes[1]["alternate"], Value::Null);
    let streams = get(fake.address, "/api/streams").await.json();
    assert_eq!(streams[0]["bytes_down"], 1_572_864);
    let sessions = get(fake.address, "/api/sessions").await.json();
    assert_eq!(sessions[0]["groups"], json!(["ops"]));
    let topology = get(fake.address, "/api/topology").await.json();
    assert_eq!(topology["agents"].as_array().unwrap().len(), 4);
    assert_eq!(topology["edges"][0]["cost"], 1);
    let features = |agent: usize| &topology["agents"][agent]["features"];
    assert_eq!(*features(0), serde_json::json!([0, 63]));
    assert!(features(1).is_null(), "of a release that does not tell");

    fake.agent.empty.store(true, Ordering::Relaxed);
    for path in [
        "/api/peers",
        "/api/routes",
        "/api/streams",
        "/api/sessions",
        "/api/events",
    ] {
        assert_eq!(get(fake.address, path).await.json(), json!([]), "{path}");
    }
}

#[tokio::test]
async fn explain_has_the_promised_shape() {
    let fake = serve(settings()).await;
    let path = [id(0x22), id(0x77)];
    let answer = get(fake.address, "/api/explain?dest=10.1.2.3").await;
    assert_eq!(
        answer.json(),
        json!({
            "dest": "10.1.2.3",
            "chosen": { "exit": id(0x77), "path": path, "metric": 2, "rtt_ms": 0.4 },
            "candidates": [
                { "exit": id(0x77), "path": path, "metric": 2, "prefix": "10.0.0.0/8",
                  "rejected": null },
                { "exit": id(0x88), "path": [id(0x33), id(0x88)], "metric": 11,
                  "prefix": "10.0.0.0/8", "rejected": "higher metric" },
            ],
        })
    );
    let none = get(fake.address, "/api/explain?dest=192.0.2.1").await;
    assert_eq!(none.json()["chosen"], Value::Null);
}

#[tokio::test]
async fn events_have_the_promised_shape_and_can_be_followed() {
    let fake = serve(settings()).await;
    let events = get(fake.address, "/api/events").await.json();
    let numbers = |events: &Value| -> Vec<u64> {
        let events = events.as_array().unwrap().iter();
        events
            .map(|event| event["number"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers(&events), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(
        events[0],
        json!({
            "number": 1, "at": "2026-01-02T03:04:05.001Z", "kind": "link_up", "peer": id(0x22),
        })
    );
    assert_eq!(
        events[3],
        json!({
            "number": 4, "at": "2026-01-02T03:04:05.004Z", "kind": "failover", "side": "ingress",
            "peer": id(0x77), "cause": "link_down", "from": [id(0x22), id(0x77)],
            "to": [id(0x33), id(0x77)], "detection_ms": 150.0, "stall_ms": 180.0,
            "in_flight_bytes": 12_288,
        })
    );
    assert_eq!(events[4]["reason"], "no heartbeat");
    let news = get(fake.address, "/api/events?since=4").await.json();
    assert_eq!(numbers(&news), [5, 6, 7, 8]);
    let bad = get(fake.address, "/api/events?since=yesterday").await;
    assert_eq!(bad.status, 400, "{bad:?}");
    assert!(bad.error().contains("?since="), "{bad:?}");
}

#[tokio::test]
async fn trace_has_the_promised_shape() {
    let fake = serve(settings()).await;
    let answer = get(fake.address, "/api/trace?dest=10.1.2.3").await.json();
    assert_eq!(answer["dest"], "10.1.2.3");
    assert_eq!(answer["exit"], json!(id(0x77)));
    assert_eq!(
        answer["path"][0],
        json!({
            "id": id(0x22), "display_name": "transit-1",
            "rtt_ms": { "min": 0.1, "avg": 0.2, "max": 0.4 },
            "sent": 5, "lost": 0, "suspect": false, "draining": false,
        })
    );
    assert_eq!(answer["alternate"][0]["rtt_ms"], Value::Null);
    assert_eq!(answer["session"]["rtt_ms"], 0.5);
    assert_eq!(answer["session"]["suspect"], true);
    assert_eq!(answer["session"]["mirroring"], true);
    assert_eq!(answer["session"]["probes_lost"], 3);
    assert_eq!(answer["session"]["path"], answer["alternate"]);

    let none = get(fake.address, "/api/trace?dest=192.0.2.1").await.json();
    for field in ["exit", "alternate", "session"] {
        assert_eq!(none[field], Value::Null, "{field}");
    }
    assert_eq!(none["path"], json!([]));
    for (query, status) in [("", 400), ("?dest=unknown.example", 502)] {
        let answer = get(fake.address, &format!("/api/trace{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn explain_says_what_is_wrong_with_the_question() {
    let fake = serve(settings()).await;
    for (query, status, error) in [
        ("", 400, "?dest="),
        ("?dest=", 400, "1 to 253"),
        ("?other=1", 400, "?dest="),
        ("?dest=10.0.0.1:80", 400, "without a port"),
        ("?dest=%ff", 400, ""),
        ("?dest=unknown.example", 502, "no exit has servers"),
    ] {
        let answer = get(fake.address, &format!("/api/explain{query}")).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(answer.error().contains(error), "{query}: {answer:?}");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_json_errors() {
    let fake = serve(settings()).await;
    for path in ["/", "/api", "/api/drains", "/health/"] {
        let answer = get(fake.address, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.error(), format!("no such endpoint: {path}"));
    }
    for (method, path) in [
        ("POST", "/health"),
        ("DELETE", "/api/peers"),
        ("OPTIONS", "/metrics"),
    ] {
        let answer = request(fake.address, method, path).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(
            answer.header("allow").unwrap().contains("get"),
            "{answer:?}"
        );
        assert!(answer.error().contains(method));
    }
}

#[tokio::test]
async fn a_panic_ends_one_client_and_the_others_are_served() {
    let fake = serve(settings()).await;
    let mut broken = TcpStream::connect(fake.address).await.unwrap();
    let request = "GET /api/explain?dest=broken.example HTTP/1.1\r\nHost: localhost\r\n\r\n";
    broken.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // Its end, in order or by a reset.
    let _ = broken.read_to_string(&mut answer).await;
    assert_eq!(answer, "");
    assert_eq!(get(fake.address, "/health").await.body, "OK");
    let counted = crate::task::panics().find(|(task, _)| *task == "http_client");
    assert!(counted.unwrap().1 > 0);
}
