//! What an agent shall be, and its configuration file. JSON is YAML, so what is put together as a value
//! is written as it is.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::spot::Place;

/// Where the agent stands in the list that it was made from.
pub type AgentId = usize;

/// Keys of an agent's own configuration file.
pub type Settings = Map<String, Value>;

/// How often an exit's health check connects: a site that closes is noticed within half a second.
const CHECK_INTERVAL: &str = "200ms";

/// Logs as programs read them, with what links tell at debug level.
const LOG_LEVEL: &str = "info,warren::link=debug";

/// An agent as it shall be.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub name: String,
    pub is_ingress: bool,
    /// What it advertises, if it is an exit.
    pub prefixes: Option<Vec<String>>,
    /// Name and address of what its health checks connect to.
    pub checks: Vec<(String, SocketAddr)>,
    pub resolvers: Vec<SocketAddr>,
    /// Whom it dials.
    pub peers: Vec<Peer>,
    /// Keys of its configuration file, put over all others.
    pub settings: Settings,
    /// How long after it was made its certificate expires.
    pub expires: Option<Duration>,
    /// Its wall clock can be stepped.
    pub own_clock: bool,
    /// Its data folder is on a file system that can be filled.
    pub small_disk: bool,
}

/// Where a neighbour is dialled.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub agent: AgentId,
    pub address: SocketAddr,
    pub cost: u32,
}

impl Plan {
    /// The whole configuration file of an agent that listens at `place`; `ids` are those of all
    /// agents. Its files are relative to the folder of the mesh.
    pub fn document(&self, place: Place, ids: &[String]) -> String {
        let name = &self.name;
        let peers = self.peers.iter().map(|peer| {
            let (id, address) = (&ids[peer.agent], peer.address.to_string());
            json!({ "id": id, "transport": "quic", "address": address, "cost": peer.cost })
        });
        let mut document = json!({
            "agent": {
                "display_name": name, "data_dir": format!("./data-{name}"),
                "log_level": LOG_LEVEL, "log_format": "json",
            },
            "tls": {
                "ca": "./certs/ca.crt", "cert": format!("./certs/{name}.crt"),
                "key": format!("./certs/{name}.key"),
            },
            "listeners": [{ "transport": "quic", "address": place.link.to_string() }],
            "peers": peers.collect::<Vec<_>>(),
            "http": { "enabled": true, "address": place.http.to_string() },
        });
        if self.is_ingress {
            document["socks5"] = json!({ "enabled": true, "address": place.socks.to_string() });
        }
        if let Some(prefixes) = &self.prefixes {
            document["exit"] = self.exit(prefixes);
        }
        let Value::Object(mut document) = document else {
            unreachable!("it was made as an object");
        };
        merge(&mut document, &self.settings);
        format!("{:#}\n", Value::Object(document))
    }

    fn exit(&self, prefixes: &[String]) -> Value {
        let mut exit = json!({ "enabled": true, "routes": prefixes });
        let checks = self.checks.iter().map(|(name, address)| {
            json!({
                "name": name, "tcp": address.to_string(), "interval": CHECK_INTERVAL,
                "fall": 2, "rise": 2,
            })
        });
        let checks: Vec<Value> = checks.collect();
        if !checks.is_empty() {
            exit["health_checks"] = checks.into();
        }
        if !self.resolvers.is_empty() {
            let servers = self.resolvers.iter().map(SocketAddr::to_string);
            exit["dns"] = json!({ "servers": servers.collect::<Vec<_>>() });
        }
        exit
    }
}

/// Puts the keys of `from` over those of `into`, section by section.
pub fn merge(into: &mut Settings, from: &Settings) {
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

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn document(plan: &Plan) -> Value {
        let place = Place {
            link: address(1),
            http: address(2),
            socks: address(3),
        };
        serde_json::from_str(&plan.document(place, &["ab".repeat(16)])).unwrap()
    }

    #[test]
    fn roles_become_sections() {
        let ingress = document(&Plan {
            name: "a".to_owned(),
            is_ingress: true,
            peers: vec![Peer {
                agent: 0,
                address: address(4),
                cost: 5,
            }],
            ..Plan::default()
        });
        assert_eq!(ingress["socks5"]["address"], "127.0.0.1:3");
        assert_eq!(ingress["peers"][0]["cost"], 5);
        assert!(ingress.get("exit").is_none());
        let exit = document(&Plan {
            prefixes: Some(vec!["127.0.0.0/8".to_owned()]),
            checks: vec![("site".to_owned(), address(6))],
            ..Plan::default()
        });
        assert_eq!(exit["exit"]["health_checks"][0]["tcp"], "127.0.0.1:6");
        assert!(exit.get("socks5").is_none());
    }

    #[test]
    fn settings_go_into_their_sections() {
        let settings = json!({
            "connections": { "heartbeat": "50ms" }, "http": { "enabled": false },
        });
        let Value::Object(settings) = settings else {
            panic!("settings are an object");
        };
        let document = document(&Plan {
            settings,
            ..Plan::default()
        });
        assert_eq!(document["connections"]["heartbeat"], "50ms");
        let http = json!({ "address": "127.0.0.1:2", "enabled": false });
        assert_eq!(document["http"], http);
    }
}
