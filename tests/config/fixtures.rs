//! `tests/data/config`: what is valid and what it means, what is not and what is said about it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use warren::config::{Balance, Config, Guards, HealthTarget, LogFormat, Route};

use crate::support::{env, load_copy, project, yaml_files};

fn valid(name: &str) -> Config {
    load_copy(&project("tests/data/config/valid").join(format!("{name}.yaml")))
}

#[test]
fn every_valid_file_loads() {
    let files = yaml_files(&project("tests/data/config/valid"));
    assert!(files.len() >= 10, "the fixtures are there");
    for file in files {
        load_copy(&file);
    }
}

#[test]
fn every_invalid_file_gets_exactly_its_errors() {
    let folder = project("tests/data/config/invalid");
    let files = yaml_files(&folder);
    assert!(files.len() >= 20, "the fixtures are there");
    let mut failures = String::new();
    for file in files {
        let name = file.file_name().expect("a file").to_string_lossy();
        let text = fs::read_to_string(&file).expect("a readable fixture");
        let expected = fs::read_to_string(file.with_extension("expect")).unwrap_or_default();
        let said = match Config::parse(&text, &name, Path::new("/etc/warren"), &env) {
            Ok(config) => format!("accepted: {config:?}"),
            Err(errors) => errors.to_string(),
        };
        if said.trim_end() != expected.trim_end() {
            failures.push_str(&format!("== {name}, expected\n{expected}== said\n{said}\n"));
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn the_ingress_of_the_availability_page_has_two_transits() {
    let config = valid("ha-ingress");
    assert_eq!(config.agent.display_name.as_deref(), Some("Ingress"));
    assert_eq!(config.listeners, [], "an agent that dials need not listen");
    let addresses: Vec<String> = config
        .peers
        .iter()
        .map(|peer| peer.address.to_string())
        .collect();
    assert_eq!(
        addresses,
        [
            "transit-primary.example.com:4433",
            "transit-backup.example.com:4433"
        ]
    );
    assert_ne!(config.peers[0].id, config.peers[1].id);
    assert!(config.peers.iter().all(|peer| {
        let ca = peer.ca.as_ref().and_then(|ca| ca.file());
        let ca = ca.expect("the file names one");
        ca.ends_with("certs/ca.crt") && ca.is_absolute() && peer.cost == 1
    }));
    let socks5 = config.socks5.expect("it is switched on");
    assert_eq!(socks5.address, "127.0.0.1:1080".parse().unwrap());
    assert!(socks5.users.is_none());
    assert!(config.exit.is_none());
}

#[test]
fn the_other_examples_of_the_availability_page_mean_what_they_say() {
    let routing = valid("ha-faster-failover").routing;
    assert_eq!(routing.route_ttl, Duration::from_secs(60));
    assert_eq!(routing.advertise_interval, Duration::from_secs(30));

    for name in ["ha-exit-a", "ha-exit-b"] {
        let config = valid(name);
        assert_eq!(config.listeners[0].address, "0.0.0.0:4433".parse().unwrap());
        let exit = config.exit.expect("it is switched on");
        assert_eq!(exit.routes, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(exit.dns.servers, ["10.0.0.1:53".parse().unwrap()]);
    }

    let geographic = valid("ha-geographic");
    assert_eq!(geographic.peers.len(), 2);
    assert!(geographic.peers.iter().all(|peer| peer.ca.is_none()));

    let reconnect = valid("ha-reconnect").connections.reconnect;
    assert_eq!(reconnect.initial_delay, Duration::from_millis(500));
    assert_eq!(reconnect.max_delay, Duration::from_secs(30));
    assert_eq!((reconnect.multiplier, reconnect.jitter), (1.5, 0.3));
    assert_eq!(reconnect.max_retries, None, "0 is for ever");
}

#[test]
fn every_key_reaches_its_field() {
    let config = valid("everything");
    let agent = &config.agent;
    assert_eq!(
        agent.id.map(|id| id.to_string()).as_deref(),
        Some("00112233445566778899aabbccddeeff")
    );
    assert_eq!(agent.data_dir, Path::new("/var/lib/warren"));
    assert_eq!(agent.log_level, "info,warren::routing=debug");
    assert_eq!(agent.log_format, LogFormat::Json);
    assert!(agent.watch);
    assert_eq!(config.drain.timeout, Duration::from_secs(45));
    assert_eq!(config.drain.notice, Duration::from_secs(3));
    assert_eq!(config.allow.len(), 2);
    assert_eq!(config.revoke.count(), 2);
    assert!(config.revoke_file.is_some());
    assert_eq!(config.listeners[1].address, "[::1]:4434".parse().unwrap());
    assert_eq!(config.peers[0].cost, 5);
    let socks5 = config.socks5.as_ref().expect("it is switched on");
    assert_eq!(socks5.users.as_ref().map(Vec::len), Some(2));
    assert_eq!(socks5.max_connections, 500);
    let exit = config.exit.as_ref().expect("it is switched on");
    assert_eq!(exit.dns.servers[1], "10.0.0.2:53".parse().unwrap());
    assert_eq!(exit.dns.timeout, Duration::from_secs(2));
    assert_eq!(exit.connect_timeout, Duration::from_secs(3));
    assert_eq!(config.limits.health_checks, 112);
    assert_eq!(config.routing.max_hops, 4);
    assert_eq!(config.routing.balance, Balance::LeastStreams);
    assert!(!config.routing.transit);
    assert_eq!(config.connections.heartbeat, Duration::from_millis(50));
    assert_eq!(config.connections.dead_after, 4);
    assert_eq!(config.connections.reconnect.max_retries, Some(7));
    let http = config.http.as_ref().expect("it is switched on");
    assert!(http.token_hash.is_some());
    assert_eq!(config.limits.control_message, 128 * 1024);
    assert_eq!(config.limits.http_connections, 110);
    assert_eq!(config.limits.log_lines, 113);
    let shown = format!("{config:?}");
    assert!(
        !shown.contains("$argon2") && !shown.contains("$2b$"),
        "hashes print as ***"
    );
}

#[test]
fn health_checks_have_targets_times_and_routes() {
    let exit = valid("everything").exit.expect("it is switched on");
    let [database, deep, plain] = &exit.health_checks[..] else {
        panic!("three checks: {:?}", exit.health_checks);
    };
    assert_eq!(database.name, "database");
    assert_eq!(database.target.to_string(), "tcp db.corp.example:5432");
    assert_eq!((database.fall, database.rise), (3, 2));
    assert_eq!(database.guards, Guards::All);
    assert_eq!(database.interval, Duration::from_secs(5));
    assert_eq!(database.timeout, Duration::from_secs(2));

    assert_eq!(deep.name, "http://[::1]:8080/healthz", "no query");
    let HealthTarget::Http { host, path, status } = &deep.target else {
        panic!("{:?}", deep.target);
    };
    assert_eq!((host.host.as_str(), host.port), ("::1", 8080));
    assert_eq!((path.as_str(), *status), ("/healthz?deep", Some(204)));
    assert_eq!((deep.fall, deep.rise), (4, 1));
    assert_eq!(deep.timeout, deep.interval, "no longer than the interval");
    let route = |text: &str| Route::Prefix(text.parse().unwrap());
    let name = Route::Domain("api.example.com".parse().unwrap());
    assert_eq!(
        deep.guards,
        Guards::These(vec![route("2001:db8::/32"), name])
    );

    assert_eq!(plain.target.to_string(), "http://10.0.0.1:80/");
    assert_eq!(plain.timeout, Duration::from_secs(9));
    assert_eq!(plain.guards, Guards::These(vec![route("10.0.0.0/8")]));
}

#[test]
fn variables_fill_scalars_and_nothing_else() {
    let config = valid("variables");
    assert_eq!(
        config.agent.display_name.as_deref(),
        Some("relay-7 on some host")
    );
    assert_eq!(config.agent.log_level, "debug");
    let socks5 = config.socks5.expect("the variable says so");
    assert_eq!(socks5.address.port(), 1085);
    assert_eq!(socks5.max_connections, 77);
    assert_eq!(config.routing.route_ttl, Duration::from_secs(600));
    assert!(config.http.is_none());
}

#[test]
fn what_is_switched_off_is_left_out() {
    let config = valid("switched-off");
    assert!(config.socks5.is_none() && config.exit.is_none() && config.http.is_none());
}

#[test]
fn sections_left_empty_are_defaults() {
    let (empty, defaults) = (valid("empty-sections"), valid("defaults"));
    assert_eq!(
        format!("{:?}", empty.listeners),
        format!("{:?}", defaults.listeners)
    );
    assert_eq!(
        format!("{:?}", empty.routing),
        format!("{:?}", defaults.routing)
    );
    let http = defaults.http.expect("on by default");
    assert_eq!(http.address, "0.0.0.0:8080".parse().unwrap());
}

#[test]
fn an_anchor_is_written_once_and_used_twice() {
    let config = valid("anchors");
    assert_eq!(config.peers[0].ca, config.peers[1].ca);
    assert!(config.peers[1].ca.is_some());
}
