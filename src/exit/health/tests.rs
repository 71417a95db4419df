use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use prometheus_client::encoding::text::encode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::*;
use crate::config::{HealthTarget, HostPort};
use crate::exit::testing::{closed_port, config, echo_server, name_server, silent_target};
use crate::record::Event;
use crate::tunnel::testing::PATIENCE;

/// Servers here answer at once; only what never answers takes this long.
const SHORT: Duration = Duration::from_millis(200);

fn check(name: &str, target: HealthTarget) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        target,
        interval: Duration::from_millis(5),
        timeout: PATIENCE,
        fall: 2,
        rise: 2,
        guards: Guards::All,
    }
}

fn host(address: SocketAddr) -> HostPort {
    HostPort {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

fn tcp(address: SocketAddr) -> HealthTarget {
    HealthTarget::Tcp(host(address))
}

fn http(address: SocketAddr, status: Option<u16>) -> HealthTarget {
    HealthTarget::Http {
        host: host(address),
        path: "/health?deep".to_owned(),
        status,
    }
}

fn resolver(servers: Vec<SocketAddr>) -> Resolver {
    Resolver::of_servers(&servers, PATIENCE)
}

/// Answers every connection with `answer`, and keeps it open afterwards if `stays`.
async fn server(answer: Vec<u8>, stays: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(client.read_u8().await?);
                }
                assert!(request.starts_with(b"GET /health?deep HTTP/1.1\r\n"));
                client.write_all(&answer).await?;
                if stays {
                    client.read_u8().await?;
                }
                io::Result::Ok(())
            });
        }
    });
    address
}

/// Empty: it passed.
async fn failure(check: &HealthCheck, resolver: &Resolver) -> String {
    failure_at(check, resolver, &["127.0.0.0/8"]).await
}

/// At an exit with these routes.
async fn failure_at(check: &HealthCheck, resolver: &Resolver, routes: &[&str]) -> String {
    let acl = Acl::new(&config(routes, &[], vec![]));
    let probing = probe(check, resolver, &acl);
    let result = timeout(2 * PATIENCE, probing).await.unwrap();
    result
        .err()
        .map_or_else(String::new, |error| error.to_string())
}

#[tokio::test]
async fn a_tcp_check_needs_a_connection() {
    let none = resolver(vec![]);
    let good = check("good", tcp(echo_server().await));
    assert_eq!(failure(&good, &none).await, "");
    let refused = check("refused", tcp(closed_port().await));
    assert!(failure(&refused, &none).await.starts_with("cannot connect"));
    let target = silent_target().await;
    let mut silent = check("silent", tcp(target.address));
    silent.timeout = SHORT;
    let said = failure(&silent, &none).await;
    assert!(said.contains("no answer within 200 ms"), "{said}");
}

#[tokio::test]
async fn targets_by_name_are_resolved_as_the_exit_resolves() {
    let port = echo_server().await.port();
    let servers = vec![name_server(&[("db.example", "127.0.0.1")]).await];
    let resolver = resolver(servers);
    for (name, expected) in [
        ("db.example", ""),
        ("none.example", "none.example has no address"),
        ("broken.example", "resolving broken.example failed"),
    ] {
        let host = name.to_owned();
        let named = check("named", HealthTarget::Tcp(HostPort { host, port }));
        let said = failure(&named, &resolver).await;
        assert!(said.starts_with(expected), "{name}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{name}: {said}");
    }
}

#[tokio::test]
async fn a_name_does_not_lead_a_check_into_the_exits_insides() {
    let port = echo_server().await.port();
    let servers = vec![name_server(&[("db.example", "127.0.0.1")]).await];
    let resolver = resolver(servers);
    let named = |host: &str| {
        let host = host.to_owned();
        check("named", HealthTarget::Tcp(HostPort { host, port }))
    };
    let said = failure_at(&named("db.example"), &resolver, &["0.0.0.0/0"]).await;
    assert!(said.contains("special addresses only"), "{said}");
    for meant in ["127.0.0.1", "localhost"] {
        let said = failure_at(&named(meant), &resolver, &["10.0.0.0/8"]).await;
        assert_eq!(said, "", "{meant}");
    }
}

#[tokio::test]
async fn an_http_check_looks_at_the_status_alone() {
    let none = resolver(vec![]);
    for (answer, wanted, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\n", None, ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", None, ""),
        (
            "HTTP/1.0 302 Found\r\nlocation: http://192.0.2.1/\r\n\r\n",
            None,
            "",
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n",
            None,
            "answered with status 404",
        ),
        (
            "HTTP/1.1 503 Busy\r\n\r\n",
            None,
            "answered with status 503",
        ),
        ("HTTP/1.1 404 Not Found\r\n\r\n", Some(404), ""),
        (
            "HTTP/1.1 200 OK\r\n\r\n",
            Some(204),
            "answered with status 200",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", None, "no HTTP answer"),
        ("", None, "no HTTP answer"),
    ] {
        let address = server(answer.into(), false).await;
        let said = failure(&check("http", http(address, wanted)), &none).await;
        assert!(said.starts_with(expected), "{answer:?}: {said}");
        assert_eq!(said.is_empty(), expected.is_empty(), "{answer:?}: {said}");
    }
}

#[tokio::test]
async fn an_answer_costs_its_head_at_most() {
    let none = resolver(vec![]);
    let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\nand so on".to_vec();
    let endless = check("endless", http(server(endless, true).await, None));
    assert_eq!(failure(&endless, &none).await, "");
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    for _ in 0..4_000 {
        head.extend_from_slice(b"header: value\r\n");
    }
    let large = check("large", http(server(head, true).await, None));
    assert!(failure(&large, &none).await.starts_with("no HTTP answer"));
    let mute = b"HTTP/1.1 200".to_vec();
    let mut mute = check("mute", http(server(mute, true).await, None));
    mute.timeout = SHORT;
    assert_eq!(failure(&mute, &none).await, "no answer within 200 ms");
}

#[test]
fn a_route_needs_every_check_that_guards_it() {
    use CheckStatus::{Unknown, Up};
    let down = CheckStatus::Down {
        reason: String::new(),
    };
    let mut exit = config(&["10.0.0.0/8", "10.1.0.0/16"], &["*.example"], vec![]);
    let route = |text: &str| Route::Prefix(text.parse().unwrap());
    let name = Route::Domain("*.example".parse().unwrap());
    let (wide, narrow) = (route("10.0.0.0/8"), route("10.1.0.0/16"));
    let everything = vec![wide.clone(), narrow.clone(), name.clone()];
    assert_eq!(healthy_routes(&exit, &[]), everything);

    let target = tcp("127.0.0.1:1".parse().unwrap());
    let guard = |routes: &[&Route]| HealthCheck {
        guards: Guards::These(routes.iter().map(|route| (*route).clone()).collect()),
        ..check("some", target.clone())
    };
    exit.health_checks = vec![guard(&[&wide, &name]), guard(&[&narrow, &wide])];
    for (statuses, expected) in [
        ([Up, Up], everything.clone()),
        ([Up, down.clone()], vec![name.clone()]),
        ([down.clone(), Up], vec![narrow.clone()]),
        ([Unknown, Up], vec![narrow.clone()]),
        ([down.clone(), down.clone()], vec![]),
    ] {
        assert_eq!(healthy_routes(&exit, &statuses), expected, "{statuses:?}");
    }
    exit.health_checks = vec![guard(&[&narrow]), check("all", target.clone())];
    for (statuses, expected) in [
        ([Up, Up], everything),
        ([down.clone(), Up], vec![wide, name]),
        ([Up, down], vec![]),
        ([Up, Unknown], vec![]),
    ] {
        assert_eq!(healthy_routes(&exit, &statuses), expected, "{statuses:?}");
    }
}

fn metrics(checks: &HealthChecks, names: bool) -> String {
    let mut registry = Registry::default();
    checks.register(names, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

async fn is(statuses: &mut watch::Receiver<Vec<CheckStatus>>, up: bool) {
    let is = |statuses: &Vec<CheckStatus>| match &statuses[0] {
        CheckStatus::Unknown => false,
        CheckStatus::Up => up,
        CheckStatus::Down { .. } => !up,
    };
    let became = timeout(PATIENCE, statuses.wait_for(is)).await;
    drop(became.unwrap().unwrap());
}

#[tokio::test]
async fn a_server_that_stops_and_starts_is_followed() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut exit = config(&["10.0.0.0/8"], &[], vec![]);
    exit.health_checks = vec![check("the \"server\"", tcp(address))];
    let journal = Journal::default();
    let checks = HealthChecks::new(&exit, journal.clone());
    let mut statuses = checks.subscribe();
    let before = metrics(&checks, true);
    assert!(
        before.contains("exit_health{check=\"the \\\"server\\\"\"} 0"),
        "{before}"
    );
    assert_eq!(checks.complaints().len(), 1, "no result yet");

    let follow = async {
        is(&mut statuses, true).await;
        assert!(checks.complaints().is_empty());
        drop(listener);
        is(&mut statuses, false).await;
        let complaints = checks.complaints();
        let said = "health check the \"server\" fails: cannot connect";
        assert!(complaints[0].starts_with(said), "{complaints:?}");
        let _listener = TcpListener::bind(address).await.unwrap();
        is(&mut statuses, true).await;
        let after = metrics(&checks, true);
        for line in [
            "exit_health{check=\"the \\\"server\\\"\"} 1",
            "exit_health_transitions_total{check=\"the \\\"server\\\"\",to=\"up\"} 2",
            "exit_health_transitions_total{check=\"the \\\"server\\\"\",to=\"down\"} 1",
        ] {
            assert!(after.contains(line), "{line}:\n{after}");
        }
        let anyones = metrics(&checks, false);
        assert!(anyones.contains("exit_health{check=\"1\"} 1"), "{anyones}");
        assert!(!anyones.contains("server"), "{anyones}");
        let events: Vec<Event> = journal.since(0).into_iter().map(|e| e.what).collect();
        let Event::HealthDown { reason, .. } = &events[1] else {
            panic!("{events:?}");
        };
        assert!(reason.starts_with("cannot connect"), "{reason}");
        let (check, routes) = ("the \"server\"".to_owned(), vec!["10.0.0.0/8".to_owned()]);
        let (reason, route_count) = (reason.clone(), 1);
        let up = Event::HealthUp {
            check: check.clone(),
            routes: routes.clone(),
            route_count,
        };
        let down = Event::HealthDown {
            check,
            reason,
            routes,
            route_count,
        };
        assert_eq!(events, [up.clone(), down, up]);
    };
    let resolver = resolver(vec![]);
    let acl = Acl::new(&config(&[], &[], vec![]));
    tokio::select! {
        () = follow => {}
        () = checks.run(&resolver, &acl) => unreachable!("checks run for ever"),
    }
}

#[test]
fn checks_of_one_interval_drift_apart_but_not_far() {
    let interval = Duration::from_secs(10);
    for _ in 0..1_000 {
        let next = jittered(interval);
        assert!((9..=11).contains(&next.as_secs()), "{next:?}");
    }
    assert_ne!(jittered(interval), jittered(interval));
}
