//! What differs between two configurations, by key, and what a running agent can do about it.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{
    Agent, Config, Connections, Dns, Drain, Exit, Http, Listener, Peer, Reconnect, Routing, Socks5,
    Tls, User,
};

/// How a changed key comes into force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At once; what is open goes on.
    Live,
    /// One listener closes and another opens; what was accepted goes on.
    Listener,
    /// When the agent starts again.
    Restart,
}

/// A key whose value differs, as the file spells it: items of lists by their place, peers by their ids,
/// users and health checks by their names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(String);

/// What takes effect without a restart: keys, or all below them. What is not listed needs one.
const EFFECTS: &[(&str, Effect)] = &[
    ("agent.log_level", Effect::Live),
    ("agent.watch", Effect::Live),
    ("connections.reconnect", Effect::Live),
    ("drain", Effect::Live),
    ("exit.allow_special", Effect::Live),
    ("exit.connect_timeout", Effect::Live),
    ("exit.dns", Effect::Live),
    ("exit.domain_routes", Effect::Live),
    ("exit.health_checks", Effect::Live),
    ("exit.routes", Effect::Live),
    ("http.address", Effect::Listener),
    ("http.agent_check", Effect::Listener),
    ("http.token_hash", Effect::Live),
    ("http.trust_loopback", Effect::Live),
    ("peers", Effect::Live),
    ("routing.balance", Effect::Live),
    ("socks5.address", Effect::Listener),
    ("socks5.auth", Effect::Live),
    ("socks5.max_connections", Effect::Live),
    ("socks5.proxy_protocol", Effect::Live),
    ("socks5.resolvers", Effect::Live),
    ("socks5.route_wait", Effect::Live),
    ("tls", Effect::Live),
    ("trust", Effect::Live),
];

impl Key {
    /// What its change takes.
    pub fn effect(&self) -> Effect {
        let found = EFFECTS.iter().find(|(above, _)| self.is_of(above));
        found.map_or(Effect::Restart, |(_, effect)| *effect)
    }

    /// What a person is told of one that needs a restart.
    pub fn refusal(&self) -> &'static str {
        match self.0.as_str() {
            "agent.id" => "an agent's id is its key's",
            _ => "takes effect when the agent starts again",
        }
    }

    /// Whether it is `above`, or below that.
    pub fn is_of(&self, above: &str) -> bool {
        let rest = self.0.strip_prefix(above);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Config {
    /// The keys whose values differ in `new`, in order. An item or a section that only one of them has
    /// is one key.
    pub fn diff(&self, new: &Self) -> Vec<Key> {
        let (old, new) = (Values::of(self), Values::of(new));
        let both = old.0.keys().chain(new.0.keys());
        let mut changed: Vec<&String> = both
            .filter(|key| old.0.get(*key) != new.0.get(*key))
            .collect();
        changed.sort();
        changed.dedup();
        let wholes: Vec<String> = changed.iter().filter_map(|key| whole(key)).collect();
        let is_part = |key: &str| {
            let own = whole(key);
            let mut above = wholes
                .iter()
                .filter(|above| key.starts_with(above.as_str()));
            above.any(|above| Some(above) != own.as_ref())
        };
        let kept = changed.into_iter().filter(|key| !is_part(key));
        kept.map(|key| Key(key.clone())).collect()
    }
}

/// What all keys begin with that belong to the item or the section that this key switches.
fn whole(key: &str) -> Option<String> {
    match key.strip_suffix("enabled") {
        Some(section) => Some(section.to_owned()),
        None => key.ends_with(']').then(|| format!("{key}.")),
    }
}

/// The values of a configuration by key. Secrets are among them, so they are compared and never shown.
struct Values(BTreeMap<String, String>);

/// Puts all fields of a section, of which none can be forgotten.
macro_rules! put {
    ($values:ident, $section:literal, $from:expr, $type:ident { $($field:ident),* $(,)? }) => {
        let $type { $($field),* } = $from;
        $( $values.put(concat!($section, ".", stringify!($field)), $field); )*
    };
}

impl Values {
    fn of(config: &Config) -> Self {
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
        v.put("tls.ca", ca);
        let pair = cert_and_key.as_ref();
        v.put("tls.cert", &pair.map(|(cert, _)| cert));
        v.put("tls.key", &pair.map(|(_, key)| key));
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
            self.put(&format!("peers[{id}].tls.ca"), ca);
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
        }) = http
        {
            self.put("http.address", address);
            self.put("http.token_hash", &token_hash.as_ref().map(|hash| &hash.0));
            self.put("http.trust_loopback", trust_loopback);
            self.put("http.socket", socket);
            self.put("http.agent_check", agent_check);
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
            self.put(&format!("{key}.password_hash"), &password_hash.0);
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const IDS: [&str; 2] = [
        "000102030405060708090a0b0c0d0e0f",
        "101112131415161718191a1b1c1d1e1f",
    ];
    const HASHES: [&str; 2] = [
        "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u",
        "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt5U77kW4RVbchzgvBvBBEEdCD/u",
    ];

    fn read(yaml: &str) -> Config {
        Config::parse(yaml, "-", Path::new("/etc/warren"), &|_| None).unwrap()
    }

    fn diff(old: &str, new: &str) -> Vec<String> {
        let listen = "listeners: [{ address: ':4433' }]\n";
        let keys = read(&format!("{listen}{old}")).diff(&read(&format!("{listen}{new}")));
        keys.iter().map(Key::to_string).collect()
    }

    #[test]
    fn the_same_file_differs_in_nothing() {
        assert_eq!(diff("drain: { notice: 0 }", "drain: {}"), [""; 0]);
    }

    #[test]
    fn keys_are_named_as_the_file_has_them() {
        assert_eq!(
            diff("", "drain: { notice: 1s, timeout: 1s }"),
            ["drain.notice", "drain.timeout"]
        );
        let peer = |id, cost| format!("peers: [{{ id: '{id}', address: 'h:1', cost: {cost} }}]");
        let (a, b) = (IDS[0], IDS[1]);
        assert_eq!(diff(&peer(a, 1), &peer(a, 2)), [format!("peers[{a}].cost")]);
        let swapped = [format!("peers[{a}]"), format!("peers[{b}]")];
        assert_eq!(diff(&peer(a, 1), &peer(b, 1)), swapped);
        let user = |hash| {
            format!(
                "socks5: {{ enabled: true, auth: {{ enabled: true, users: [{{ username: 'a.b[c', \
                 password_hash: '{hash}' }}] }} }}"
            )
        };
        let changed = diff(&user(HASHES[0]), &user(HASHES[1]));
        assert_eq!(changed, ["socks5.auth.users[a.b[c].password_hash"]);
        let none = "socks5: { enabled: true }";
        assert_eq!(diff(none, &user(HASHES[0])), ["socks5.auth.enabled"]);
        assert_eq!(diff("", &user(HASHES[0])), ["socks5.enabled"]);
        let check = |fall| {
            format!(
                "exit: {{ enabled: true, routes: [10.0.0.0/8], health_checks: [{{ name: db, tcp: 'h:1', fall: {fall} }}] }}"
            )
        };
        assert_eq!(diff(&check(2), &check(3)), ["exit.health_checks[db]"]);
    }

    #[test]
    fn keys_have_the_effect_of_what_they_are_below() {
        for (key, effect) in [
            ("peers[00].cost", Effect::Live),
            ("peers[00]", Effect::Live),
            ("socks5.auth.users[a.b[c].password_hash", Effect::Live),
            ("socks5.address", Effect::Listener),
            ("socks5.enabled", Effect::Restart),
            ("exit.routes", Effect::Live),
            ("exit.routes_of_another_key", Effect::Restart),
            ("agent.id", Effect::Restart),
        ] {
            assert_eq!(Key::from(key).effect(), effect, "{key}");
        }
    }

    #[test]
    fn secrets_are_compared_and_not_shown() {
        let token = |hash| format!("http: {{ token_hash: '{hash}' }}");
        assert_eq!(
            diff(&token(HASHES[0]), &token(HASHES[1])),
            ["http.token_hash"]
        );
    }
}
