//! What differs between two configurations, by key, and what a running agent can do about it.

mod values;

use super::Config;
use values::Values;

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
    ("http.agent_check_weight", Effect::Live),
    ("http.token_hash", Effect::Live),
    ("http.token_hash_file", Effect::Live),
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
