//! The values of a configuration by key, to be compared.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::super::{
    Agent, Config, Connections, Dns, Drain, Exit, Http, Listener, PasswordHash, Peer, Reconnect,
    Routing, Socks5, Tls, User,
};
use crate::identity::Pem;

/// The values of a configuration by key. Secrets are among them, so they are compared and never shown.
pub(super) struct Values(pub(super) BTreeMap<String, String>);

/// Puts all fields of a section, of which none can be forgotten.
macro_rules! put {
    ($values:ident, $section:literal, $from:expr, $type:ident { $($field:ident),* $(,)? }) => {
        let $type { $($field),* } = $from;
        $( $values.put(concat!($section, ".", stringify!($field)), $field); )*
    };
}

impl Values {
    pub(super) fn of(config: &Config) -> Self {
        let Config {
            agent,
            tls,
            allow,
            revoke,
            revoke_file,
            listeners,
            peers,
            socks5,
            exit,
            routing,
            connections,
            http,
            drain,
            limits,
            // What they hold is in the values.
            secret_files: _,
        } = config;
        let mut values = Self(BTreeMap::new());
        let v = &mut values;
        put!(
            v,
            "agent",
            agent,
            Agent {
                id,
                display_name,
                data_dir,
                log_level,
                log_format,
                watch
            }
        );
        let Tls { ca, cert_and_key } = tls;
        v.put_pem("tls.ca", ca.as_ref());
        let pair = cert_and_key.as_ref();
        v.put_pem("tls.cert", pair.map(|(certificate, _)| certificate));
        v.put_pem("tls.key", pair.map(|(_, key)| key));
        v.put("trust.allow", allow);
        v.put("trust.revoke", revoke);
        v.put("trust.revoke_file", revoke_file);
        v.put_mesh(listeners, peers);
        v.put("socks5.enabled", &socks5.is_some());
        socks5.iter().for_each(|socks5| v.put_socks5(socks5));
        v.put("exit.enabled", &exit.is_some());
        exit.iter().for_each(|exit| v.put_exit(exit));
        put!(
            v,
            "routing",
            routing,
            Routing {
                advertise_interval,
                route_ttl,
                max_hops,
                balance,
                transit
            }
        );
        v.put_connections(connections);
        v.put_http(http.as_ref());
        put!(v, "drain", drain, Drain { timeout, notice });
        for (key, value) in limits.values() {
            v.put(&format!("limits.{key}"), &value);
        }
        values
    }

    fn put(&mut self, key: &str, value: &impl Debug) {
        self.0.insert(key.to_owned(), format!("{value:?}"));
    }

    /// By its own key, or by that of its file.
    fn put_hash(&mut self, key: &str, hash: Option<&PasswordHash>) {
        let (in_file, inline): (Option<_>, Option<_>) = match hash {
            Some(hash) if hash.file.is_some() => (Some((&hash.file, &hash.text)), None),
            hash => (None, hash.map(|hash| &hash.text)),
        };
        self.put(key, &inline);
        self.put(&format!("{key}_file"), &in_file);
    }

    /// By the key of its path, or by that of its text.
    fn put_pem(&mut self, key: &str, pem: Option<&Pem>) {
        self.put(key, &pem.and_then(Pem::file));
        self.put(&format!("{key}_pem"), &pem.and_then(Pem::text));
    }

    fn put_mesh(&mut self, listeners: &[Listener], peers: &[Peer]) {
        for (index, Listener { address }) in listeners.iter().enumerate() {
            self.put(&format!("listeners[{index}]"), &());
            self.put(&format!("listeners[{index}].address"), address);
        }
        for Peer {
            id,
            address,
            cost,
            ca,
        } in peers
        {
            self.put(&format!("peers[{id}]"), &());
            self.put(&format!("peers[{id}].address"), address);
            self.put(&format!("peers[{id}].cost"), cost);
            self.put_pem(&format!("peers[{id}].tls.ca"), ca.as_ref());
        }
    }

    fn put_http(&mut self, http: Option<&Http>) {
        self.put("http.enabled", &http.is_some());
        if let Some(Http {
            address,
            token_hash,
            trust_loopback,
            socket,
            agent_check,
            agent_check_weight,
        }) = http
        {
            self.put("http.address", address);
            self.put_hash("http.token_hash", token_hash.as_ref());
            self.put("http.trust_loopback", trust_loopback);
            self.put("http.socket", socket);
            self.put("http.agent_check", agent_check);
            self.put("http.agent_check_weight", agent_check_weight);
        }
    }

    fn put_socks5(&mut self, socks5: &Socks5) {
        let Socks5 {
            address,
            users,
            max_connections,
            route_wait,
            resolvers,
            balancers,
        } = socks5;
        self.put("socks5.address", address);
        self.put("socks5.max_connections", max_connections);
        self.put("socks5.route_wait", route_wait);
        self.put("socks5.resolvers", resolvers);
        self.put("socks5.proxy_protocol.from", balancers);
        self.put("socks5.auth.enabled", &users.is_some());
        for User {
            username,
            password_hash,
        } in users.iter().flatten()
        {
            let key = format!("socks5.auth.users[{username}]");
            self.put(&key, &());
            self.put_hash(&format!("{key}.password_hash"), Some(password_hash));
        }
    }

    fn put_exit(&mut self, exit: &Exit) {
        let Exit {
            routes,
            domain_routes,
            dns,
            connect_timeout,
            allow_special,
            health_checks,
        } = exit;
        let Dns { servers, timeout } = dns;
        self.put("exit.routes", routes);
        self.put("exit.domain_routes", domain_routes);
        self.put("exit.dns.servers", servers);
        self.put("exit.dns.timeout", timeout);
        self.put("exit.connect_timeout", connect_timeout);
        self.put("exit.allow_special", allow_special);
        for check in health_checks {
            self.put(&format!("exit.health_checks[{}]", check.name), check);
        }
    }

    fn put_connections(&mut self, connections: &Connections) {
        let Connections {
            heartbeat,
            dead_after,
            congestion,
            reconnect,
        } = connections;
        self.put("connections.heartbeat", heartbeat);
        self.put("connections.dead_after", dead_after);
        self.put("connections.congestion", congestion);
        put!(
            self,
            "connections.reconnect",
            reconnect,
            Reconnect {
                initial_delay,
                max_delay,
                multiplier,
                jitter,
                max_retries
            }
        );
    }
}
