//! Configurations for tests; every address is loopback with port 0, or never dialled.

use std::time::Duration;

use crate::config::{
    Agent, ApiSocket, Balance, Config, Congestion, Connections, Dns, Drain, Exit, HostPort, Http,
    Limits, Listener, LogFormat, Peer, Reconnect, Routing, Socks5, Tls,
};
use crate::identity::AgentId;

pub(crate) fn ingress() -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        peers: vec![peer(AgentId([7; 16]))],
        socks5: Some(Socks5 {
            address: any,
            users: None,
            max_connections: 10,
            route_wait: Duration::from_secs(2),
            resolvers: Vec::new(),
            balancers: Vec::new(),
        }),
        exit: None,
        ..exit()
    }
}

pub(crate) fn peer(id: AgentId) -> Peer {
    Peer {
        id,
        address: HostPort {
            host: "192.0.2.1".into(),
            port: 4433,
        },
        cost: 1,
        ca: None,
    }
}

pub(crate) fn exit() -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        agent: Agent {
            id: None,
            display_name: None,
            data_dir: "/nonexistent/data".into(),
            log_level: "info".into(),
            log_format: LogFormat::Text,
            watch: false,
        },
        tls: Tls::default(),
        allow: [AgentId([8; 16])].into(),
        revoke: Default::default(),
        revoke_file: None,
        listeners: vec![Listener { address: any }],
        peers: Vec::new(),
        socks5: None,
        exit: Some(Exit {
            routes: vec!["10.0.0.0/8".parse().unwrap()],
            domain_routes: vec!["*.corp.example".parse().unwrap()],
            dns: Dns {
                servers: Vec::new(),
                timeout: Duration::from_secs(1),
            },
            connect_timeout: Duration::from_secs(1),
            allow_special: Vec::new(),
            health_checks: Vec::new(),
        }),
        routing: Routing {
            advertise_interval: Duration::from_secs(120),
            route_ttl: Duration::from_secs(300),
            max_hops: 8,
            balance: Balance::LowestMetric,
            transit: true,
        },
        connections: Connections {
            heartbeat: Duration::from_millis(100),
            dead_after: 3,
            congestion: Congestion::Bbr,
            reconnect: Reconnect {
                initial_delay: Duration::from_secs(1),
                max_delay: Duration::from_secs(60),
                multiplier: 2.0,
                jitter: 0.2,
                max_retries: None,
            },
        },
        http: Some(Http {
            address: any,
            token_hash: None,
            trust_loopback: false,
            socket: ApiSocket::Off,
            agent_check: None,
            agent_check_weight: false,
        }),
        drain: Drain::default(),
        limits: Limits::default(),
        secret_files: Default::default(),
    }
}
