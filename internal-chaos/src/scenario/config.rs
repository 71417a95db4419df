//! The agents' configuration files. JSON is YAML, so what is put together as a value is written as
//! it is.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::model::Agent;
use super::raw::Settings;

/// How often an exit's health check connects: a site that closes is noticed within half a second.
const CHECK_INTERVAL: &str = "200ms";

/// Logs as programs read them, with what links tell at debug level.
const LOG_LEVEL: &str = "info,warren::link=debug";

/// What an agent needs to know of the ground that it stands on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) link: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) socks: SocketAddr,
    pub(super) peers: Vec<Peer>,
    /// Name and address of what its health checks connect to.
    pub(super) checks: Vec<(String, SocketAddr)>,
    pub(super) resolvers: Vec<SocketAddr>,
}

/// Where a neighbour is dialled: at the relay of the link.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: String,
    pub(super) address: SocketAddr,
    pub(super) cost: u32,
}

/// The whole file.
pub(super) fn document(agent: &Agent, ground: &Ground) -> String {
    let name = &agent.name;
    let peers = ground.peers.iter().map(
        |peer| json!({ "id": peer.id, "address": peer.address.to_string(), "cost": peer.cost }),
    );
    let mut document = json!({
        "agent": {
            "display_name": name, "data_dir": format!("./data-{name}"),
            "log_level": LOG_LEVEL, "log_format": "json",
        },
        "tls": {
            "ca": "./certs/ca.crt", "cert": format!("./certs/{name}.crt"),
            "key": format!("./certs/{name}.key"),
        },
        "listeners": [{ "address": ground.link.to_string() }],
        "peers": peers.collect::<Vec<_>>(),
        "http": { "address": ground.http.to_string() },
    });
    if agent.is_ingress {
        document["socks5"] = json!({ "enabled": true, "address": ground.socks.to_string() });
    }
    if let Some(prefixes) = &agent.prefixes {
        document["exit"] = exit(prefixes, ground);
    }
    let Value::Object(mut document) = document else {
        unreachable!("it was made as an object");
    };
    merge(&mut document, &agent.settings);
    format!("{:#}\n", Value::Object(document))
}

fn exit(prefixes: &[String], ground: &Ground) -> Value {
    let mut exit = json!({ "enabled": true, "routes": prefixes });
    let checks = ground.checks.iter().map(|(name, address)| {
        json!({
            "name": name, "tcp": address.to_string(), "interval": CHECK_INTERVAL,
            "fall": 2, "rise": 2,
        })
    });
    let checks: Vec<Value> = checks.collect();
    if !checks.is_empty() {
        exit["health_checks"] = checks.into();
    }
    if !ground.resolvers.is_empty() {
        let servers = ground.resolvers.iter().map(SocketAddr::to_string);
        exit["dns"] = json!({ "servers": servers.collect::<Vec<_>>() });
    }
    exit
}

/// Puts the keys of `from` over those of `into`, section by section.
pub(super) fn merge(into: &mut Settings, from: &Settings) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(section)), Value::Object(more)) => merge(section, more),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Ground {
            link: address(1),
            http: address(2),
            socks: address(3),
            peers: vec![Peer {
                id: "ab".repeat(16),
                address: address(4),
                cost: 5,
            }],
            checks: vec![("site".to_owned(), address(6))],
            resolvers: Vec::new(),
        }
    }

    fn agent(settings: Value) -> Agent {
        let Value::Object(settings) = settings else {
            panic!("settings are an object");
        };
        Agent {
            name: "a".to_owned(),
            is_ingress: true,
            prefixes: None,
            checks: Vec::new(),
            resolvers: Vec::new(),
            expires: None,
            settings,
        }
    }

    #[test]
    fn roles_become_sections() {
        let text = document(&agent(json!({})), &ground());
        let ingress: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(ingress["socks5"]["address"], "127.0.0.1:3");
        assert_eq!(ingress["peers"][0]["cost"], 5);
        assert!(ingress.get("exit").is_none());
        let exit = Agent {
            is_ingress: false,
            prefixes: Some(vec!["127.0.0.0/8".to_owned()]),
            ..agent(json!({}))
        };
        let exit: Value = serde_json::from_str(&document(&exit, &ground())).unwrap();
        assert_eq!(exit["exit"]["health_checks"][0]["tcp"], "127.0.0.1:6");
        assert!(exit.get("socks5").is_none());
    }

    #[test]
    fn settings_go_into_their_sections() {
        let settings = json!({
            "connections": { "heartbeat": "50ms" }, "http": { "enabled": true },
        });
        let text = document(&agent(settings), &ground());
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["connections"]["heartbeat"], "50ms");
        let http = json!({ "address": "127.0.0.1:2", "enabled": true });
        assert_eq!(document["http"], http);
    }
}
